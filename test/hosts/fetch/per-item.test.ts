import { withLlmCache } from '../../../policies/hosts/fetch/index.ts';
import type { UsageRecord } from '../../../policies/llm-usage/usage-record.ts';
import { eventually } from '../../support/eventually.ts';
import { read, request } from '../../support/fetch.ts';
import { describePerItem } from '../../support/per-item-contract.ts';
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
