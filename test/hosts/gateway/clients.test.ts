import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { expect } from 'chai';
import OpenAI from 'openai';
import { batch } from '../../fixtures/gemini.ts';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

const messages = [{ role: 'user' as const, content: 'Hi!' }];

describe('The official clients behind the gateway', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let openai: OpenAI;
  let anthropic: Anthropic;
  let google: GoogleGenAI;

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
    openai = new OpenAI({ apiKey: 'sk-test', baseURL: `${gateway.url}/api/v1`, maxRetries: 0 });
    anthropic = new Anthropic({ apiKey: 'sk-test', baseURL: `${gateway.url}/api`, maxRetries: 0 });
    const httpOptions = { baseUrl: `${gateway.url}/api` };
    google = new GoogleGenAI({ apiKey: 'AIza-test', httpOptions });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** Google's client puts the head of the response, which tells of the cache, into the answer. */
  const withoutHead = (name: string, value: unknown) =>
    name === 'sdkHttpResponse' ? undefined : value;

  async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
    const items: T[] = [];
    for await (const item of stream) items.push(item);
    return items;
  }

  const calls: Record<string, [answer: ReturnType<typeof json>, call: () => Promise<unknown>]> = {
    'openai chat.completions.create': [
      json(answers.chat.json),
      () => openai.chat.completions.create({ model: 'gpt-4o', messages }),
    ],
    'openai chat.completions.create, streaming': [
      sse(answers.chat.sse),
      async () =>
        all(
          await openai.chat.completions.create({
            model: 'gpt-4o',
            messages,
            stream: true,
            stream_options: { include_usage: true },
          }),
        ),
    ],
    'openai chat.completions.stream': [
      sse(answers.chat.sse),
      () =>
        openai.chat.completions.stream({ model: 'gpt-4o-mini', messages }).finalChatCompletion(),
    ],
    'openai completions.create': [
      json(answers.completions.json),
      () => openai.completions.create({ model: 'gpt-3.5-turbo-instruct', prompt: 'Hi!' }),
    ],
    'openai completions.create, streaming': [
      sse(answers.completions.sse),
      async () =>
        all(
          await openai.completions.create({
            model: 'gpt-3.5-turbo-instruct',
            prompt: 'Hi!',
            stream: true,
          }),
        ),
    ],
    'openai responses.create': [
      json(answers.responses.json),
      () => openai.responses.create({ model: 'gpt-4o', input: 'Hi!' }),
    ],
    'openai responses.create, streaming': [
      sse(answers.responses.sse),
      async () =>
        all(await openai.responses.create({ model: 'gpt-4o', input: 'Hi!', stream: true })),
    ],
    'openai embeddings.create': [
      json(answers.embeddings.json),
      () =>
        openai.embeddings.create({
          model: 'text-embedding-3-small',
          input: 'Hi!',
          encoding_format: 'float',
        }),
    ],
    'anthropic messages.create': [
      json(answers.messages.json),
      () => anthropic.messages.create({ model: 'claude-opus-4-8', max_tokens: 100, messages }),
    ],
    'anthropic messages.create, streaming': [
      sse(answers.messages.sse),
      async () =>
        all(
          await anthropic.messages.create({
            model: 'claude-opus-4-8',
            max_tokens: 100,
            messages,
            stream: true,
          }),
        ),
    ],
    'anthropic messages.stream': [
      sse(answers.messages.sse),
      () =>
        anthropic.messages
          .stream({ model: 'claude-haiku-5', max_tokens: 100, messages })
          .finalMessage(),
    ],
    'google models.generateContent': [
      json(answers.gemini.json),
      () => google.models.generateContent({ model: 'gemini-2.5-flash', contents: 'Hi!' }),
    ],
    'google models.generateContentStream': [
      sse(answers.gemini.sse),
      async () =>
        all(
          await google.models.generateContentStream({
            model: 'gemini-2.5-flash',
            contents: 'Hi!',
          }),
        ),
    ],
    'google models.embedContent': [
      json(JSON.stringify(batch)),
      () => google.models.embedContent({ model: 'gemini-embedding-001', contents: ['a', 'b'] }),
    ],
  };
  for (const [name, [answer, call]] of Object.entries(calls)) {
    it(`The client call "${name}" gets the same through the gateway as from the provider`, async () => {
      upstream.answer(answer);
      const before = upstream.requests.length;
      const plain = (value: unknown) => JSON.parse(JSON.stringify(value, withoutHead)) as unknown;
      const miss = plain(await call());
      const hit = plain(await call());
      expect(hit).to.deep.equal(miss);
      expect(JSON.stringify(miss)).to.match(/Hello|embedding/);
      expect(upstream.requests.length).to.equal(before + 1);
    });
  }

  it('The official clients do not retry a 504 for only-if-cached', async () => {
    const only = { headers: { 'cache-control': 'only-if-cached' } };
    const asked = async () => {
      const response = await fetch(`${gateway.adminUrl}/llm-cache/stats`);
      const stats = (await response.json()) as {
        pipelines: Record<string, { reasons: Record<string, number> }>;
      };
      return stats.pipelines['api']?.reasons['only-if-cached'] ?? 0;
    };
    const model = 'never stored';
    for (const call of [
      () =>
        new OpenAI({ apiKey: 'k', baseURL: `${gateway.url}/api/v1` }).chat.completions.create(
          { model, messages },
          only,
        ),
      () =>
        new Anthropic({ apiKey: 'k', baseURL: `${gateway.url}/api` }).messages.create(
          { model, max_tokens: 9, messages },
          only,
        ),
    ]) {
      const before = await asked();
      const error: unknown = await call().catch((reason: unknown) => reason);
      expect(error).to.include({ status: 504 });
      expect(await asked()).to.equal(before + 1);
    }
  });

  it('The OpenAI client sees the headers of the cache', async () => {
    upstream.answer(json(answers.chat.json));
    const ask = () => openai.chat.completions.create({ model: 'gpt-5', messages }).withResponse();
    expect((await ask()).response.headers.get('cache-status')).to.equal('llm-cache; fwd=miss');
    expect((await ask()).response.headers.get('x-cache')).to.equal('HIT (exact)');
  });
});
