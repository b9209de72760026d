import { expect } from 'chai';
import { withLlmCache } from '../../../policies/hosts/fetch/index.ts';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { eventually } from '../../support/eventually.ts';
import { read, request } from '../../support/fetch.ts';
import { describePerItem, embeddingsFor } from '../../support/per-item-contract.ts';
import { Upstream } from '../../support/upstream.ts';

describePerItem('The fetch wrapper', async () => {
  const provider = await Upstream.start();
  const records: UsageRecord[] = [];
  const handler = async (asked: Request) =>
    fetch(`${provider.url}${new URL(asked.url).pathname}`, {
      method: 'POST',
      headers: asked.headers,
      body: await asked.text(),
    });
  const cached = withLlmCache(handler, {
    perItem: true,
    record: (record) => void records.push(record),
  });
  const recorded = (model: string) =>
    records.filter(({ requested_model: requested }) => requested === model);
  return {
    upstream: provider,
    ask: async (body, headers = {}) => {
      const length = String(new TextEncoder().encode(JSON.stringify(body)).length);
      const sent = { ...headers, 'content-length': length };
      const got = await read(cached(request({ path: '/v1/embeddings', body, headers: sent })));
      await new Promise((resolve) => setTimeout(resolve));
      return got;
    },
    records: async (model, count) => {
      await eventually(() => recorded(model).length >= count, `${count} records of ${model}`);
      return recorded(model);
    },
    close: () => provider.close(),
  };
});

describe('Embeddings of a handler whose stream has text in it', () => {
  it('The fetch wrapper passes on text in the stream of an answer to a part of a request', async () => {
    const stored = embeddingsFor({ model: 'm', input: ['a', 'b'] });
    const bodies: BodyInit[] = [
      stored,
      new ReadableStream<unknown>({
        start(client) {
          client.enqueue('{"data":');
          client.enqueue(new TextEncoder().encode('[]}'));
          client.close();
        },
      }) as ReadableStream<Uint8Array>,
    ];
    const headers = { 'content-type': 'application/json' };
    const cached = withLlmCache(() => new Response(bodies.shift(), { headers }), { perItem: true });
    const ask = (input: readonly string[]) =>
      read(cached(request({ path: '/v1/embeddings', body: { model: 'm', input } })));
    await ask(['a', 'b']);
    expect((await ask(['b', 'c'])).text).to.equal('{"data":[]}');
  });
});
