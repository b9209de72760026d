import { parseList, serializeBareItem, Token } from 'structured-headers';
import type { Decision } from './engine.ts';

/** The `Cache-Status` member (RFC 9211) that tells of `decision`. */
export function cacheStatus(decision: Exclude<Decision, { kind: 'gone' }>): string {
  switch (decision.kind) {
    case 'hit':
      return member([
        ['hit', true],
        ['ttl', decision.ttl],
      ]);
    case 'unavailable':
      return member([['detail', new Token('only-if-cached')]]);
    default: {
      const forward: [string, Token][] = [['fwd', new Token(decision.kind)]];
      if (decision.reason !== null) forward.push(['detail', new Token(decision.reason)]);
      return member(forward);
    }
  }
}

/** `own` behind what a cache nearer to the origin said; what is no list of members is dropped. */
export function appendCacheStatus(upstreams: string | undefined, own: string): string {
  if (upstreams === undefined || upstreams.trim() === '') return own;
  try {
    parseList(upstreams);
    return `${upstreams}, ${own}`;
  } catch {
    return own;
  }
}

function member(parameters: readonly (readonly [string, true | number | Token])[]): string {
  const parts = parameters.map(([name, value]) =>
    value === true ? name : `${name}=${serializeBareItem(value)}`,
  );
  return ['llm-cache', ...parts].join('; ');
}
