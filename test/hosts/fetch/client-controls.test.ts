import { expect } from 'chai';
import { type LlmCacheOptions, withLlmCache } from '../../../policies/hosts/fetch/index.ts';
import { answers } from '../../support/answers.ts';
import { jsonResponse, read, request, Script } from '../../support/fetch.ts';

/** What `X-Cache` and `Cache-Status` say to requests with those headers, one after the other. */
async function told(options: LlmCacheOptions, all: readonly Record<string, string>[]) {
  const script = new Script(() => jsonResponse(answers.chat.json));
  const wrapped = withLlmCache(script.handler, options);
  const seen: (readonly (string | undefined)[])[] = [];
  for (const headers of all) {
    const got = await read(wrapped(request({ headers })));
    seen.push([got.headers['x-cache'], got.headers['cache-status']?.split('; ttl')[0]]);
  }
  return seen;
}

describe('Client controls of withLlmCache', () => {
  it('The fetch wrapper in opt-in mode caches only for requests that ask for it', async () => {
    const asking = { 'x-cache-control': 'cache' };
    expect(await told({ mode: 'opt-in' }, [{}, asking, asking, {}])).to.deep.equal([
      [undefined, 'llm-cache; fwd=bypass; detail=not-asked'],
      [undefined, 'llm-cache; fwd=miss'],
      ['HIT (exact)', 'llm-cache; hit'],
      [undefined, 'llm-cache; fwd=bypass; detail=not-asked'],
    ]);
  });

  it('The fetch wrapper with statusHeader always says MISS or BYPASS where the cache did not answer', async () => {
    const all: Record<string, string>[] = [
      {},
      {},
      { 'cache-control': 'no-cache' },
      { 'cache-control': 'only-if-cached' },
    ];
    const seen = await told({ statusHeader: 'always' }, all);
    expect(seen.map(([mark]) => mark)).to.deep.equal([
      'MISS',
      'HIT (exact)',
      'BYPASS',
      'HIT (exact)',
    ]);
  });

  it('The fetch wrapper keeps the namespaces of a client apart', async () => {
    const namespaced = (name: string) => ({ 'x-cache-namespace': name });
    const all = [namespaced('a'), namespaced('b'), namespaced('a')];
    const seen = await told({}, all);
    expect(seen.map(([mark]) => mark)).to.deep.equal([undefined, undefined, 'HIT (exact)']);
  });

  it('The fetch wrapper refuses opt-in mode without client controls', () => {
    const make = () =>
      withLlmCache(() => new Response(), { mode: 'opt-in', clientControls: false });
    expect(make).to.throw('withLlmCache: "mode": opt-in lets no request take part');
  });
});
