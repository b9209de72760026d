import { expect } from 'chai';
import OpenAI from 'openai';
import { ConfigurationError, withLlmCache } from '../../../policies/hosts/fetch/index.ts';
import type { CachedResponse } from '../../../policies/llm-cache/entry.ts';
import { MapStore } from '../../../policies/llm-cache/stores/map.ts';
import { longChat } from '../../support/compressed-hits-contract.ts';
import { read, request, sseResponse } from '../../support/fetch.ts';

describe('Hits in front of a fetch handler', () => {
  it('A hit in front of a fetch handler is never compressed, for its Response may be read in this process', async () => {
    const cached = withLlmCache(() => sseResponse(longChat));
    const ask = () =>
      read(cached(request({ body: { stream: true }, headers: { 'accept-encoding': 'gzip' } })));
    await ask();
    const hit = await ask();
    expect(hit.headers).to.include({ 'x-cache': 'HIT (exact)' });
    expect(hit.headers).to.not.have.any.keys('content-encoding', 'vary');
    expect(hit.text === longChat).to.equal(true);
  });

  it('The official OpenAI client reads a long hit from a wrapped `fetch` of its own', async () => {
    const cached = withLlmCache(() => sseResponse(longChat));
    const seen: (string | null)[] = [];
    const client = new OpenAI({
      apiKey: 'sk',
      fetch: async (url, init) => {
        const response = await cached(new Request(url, init));
        seen.push(response.headers.get('x-cache'));
        return response;
      },
    });
    const all = async () => {
      const events = [];
      const messages = [{ role: 'user' as const, content: 'Hi!' }];
      const stream = await client.chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
      });
      for await (const event of stream) events.push(event);
      return JSON.stringify(events);
    };
    expect((await all()) === (await all())).to.equal(true);
    expect(seen).to.deep.equal([null, 'HIT (exact)']);
  });

  it('The fetch wrapper refuses `compressHits`', () => {
    const options = { compressHits: 'auto' } as object;
    expect(() => withLlmCache(() => sseResponse(''), options)).to.throw(
      ConfigurationError,
      'compressHits',
    );
  });

  it('The fetch wrapper takes a compressed entry of a foreign store for none, and the handler answers', async () => {
    class Compressing extends MapStore {
      override async get(key: string): Promise<CachedResponse | undefined> {
        const entry = await super.get(key);
        return entry && { ...entry, coding: 'gzip' };
      }
    }
    const store = new Compressing({ maxBytes: 1_000_000 });
    const cached = withLlmCache(() => sseResponse(longChat), { store });
    const ask = () => read(cached(request({ body: { stream: true } })));
    await ask();
    const again = await ask();
    expect(again.headers).to.not.have.any.keys('content-encoding', 'x-cache');
    expect(again.text === longChat).to.equal(true);
  });
});
