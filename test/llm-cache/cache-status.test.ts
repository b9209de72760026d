import { expect } from 'chai';
import { parseList, Token } from 'structured-headers';
import {
  appendCacheStatus,
  cacheStatus,
  staleStatus,
} from '../../policies/llm-cache/cache-status.ts';
import type { Following, Forward, Hit, Joined } from '../../policies/llm-cache/decision.ts';
import { asideReasons, type AsideReason } from '../../policies/shared/reasons.ts';

function forward(kind: Forward['kind'], reason: AsideReason | null = null): Forward {
  const nothing = { key: null, flight: null, fallback: null, part: null };
  return { kind, reason, ...nothing, settled: Promise.resolve() };
}

describe('The Cache-Status header', () => {
  it('The Cache-Status of a hit tells how long it stays fresh', () => {
    const hit = { kind: 'hit', key: 'k', age: 179, ttl: 3421 } as Hit;
    expect(cacheStatus(hit)).to.equal('llm-cache; hit; ttl=3421');
  });

  const rows: readonly (readonly [Forward, string])[] = [
    [forward('miss'), 'llm-cache; fwd=miss'],
    [forward('stale'), 'llm-cache; fwd=stale'],
    [forward('request', 'max-age'), 'llm-cache; fwd=request; detail=max-age'],
    [forward('bypass', 'no-scope'), 'llm-cache; fwd=bypass; detail=no-scope'],
  ];
  for (const [decision, text] of rows) {
    it(`The Cache-Status of a forwarded request may be: ${text}`, () =>
      expect(cacheStatus(decision)).to.equal(text));
  }

  it('The Cache-Status of a joined request says that it collapsed, finished or under way', () => {
    const text = 'llm-cache; fwd=miss; collapsed';
    expect(cacheStatus({ kind: 'joined', key: 'k' } as Joined)).to.equal(text);
    expect(cacheStatus({ kind: 'following', key: 'k' } as Following)).to.equal(text);
  });

  it("The Cache-Status of a stale answer tells the upstream's status, where there was one", () => {
    expect(staleStatus(503, -12)).to.equal(
      'llm-cache; fwd=stale; fwd-status=503; ttl=-12; detail=stale-if-error',
    );
    expect(staleStatus(null, 0)).to.equal('llm-cache; fwd=stale; ttl=0; detail=stale-if-error');
  });

  it('The Cache-Status of a 504 tells that only the cache was asked', () => {
    const text = cacheStatus({ kind: 'unavailable', key: null });
    expect(text).to.equal('llm-cache; detail=only-if-cached');
  });

  it('The Cache-Status of any decision is a list of one member, as in RFC 9211', () => {
    for (const reason of Object.keys(asideReasons) as AsideReason[]) {
      const list = parseList(cacheStatus(forward('bypass', reason)));
      expect(list).to.have.length(1);
      expect(list[0]?.[0]).to.deep.equal(new Token('llm-cache'));
      expect(list[0]?.[1].get('detail')).to.deep.equal(new Token(reason));
    }
  });
});

describe('The Cache-Status of a cache further up', () => {
  const own = 'llm-cache; fwd=miss';

  it('The Cache-Status of a cache further up stays in front of ours', () => {
    expect(appendCacheStatus('cdn; hit', own)).to.equal(`cdn; hit, ${own}`);
    expect(appendCacheStatus('"a b";fwd=miss, cdn; hit; ttl=5', own)).to.equal(
      `"a b";fwd=miss, cdn; hit; ttl=5, ${own}`,
    );
  });

  it('The Cache-Status is ours alone where no cache further up said anything', () => {
    for (const nothing of [undefined, '', '  ']) {
      expect(appendCacheStatus(nothing, own)).to.equal(own);
    }
  });

  it('The Cache-Status of a cache further up is dropped where ours behind it could not be read', () => {
    for (const bad of ['cdn; hit,', '"open', 'HIT from cdn (x', 'ä', ';']) {
      const text = appendCacheStatus(bad, own);
      expect(text, bad).to.equal(own);
      expect(parseList(text)).to.have.length(1);
    }
  });
});
