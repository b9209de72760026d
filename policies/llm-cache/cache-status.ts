import { parseList, serializeBareItem, Token } from 'structured-headers';
import type { Decision } from './decision.ts';

type Parameters = readonly (readonly [name: string, value: true | number | Token])[];

/** Returns the `Cache-Status` member (RFC 9211) for `decision`. */
export function cacheStatus(decision: Exclude<Decision, { kind: 'gone' }>): string {
  switch (decision.kind) {
    case 'hit':
      return member([
        ['hit', true],
        ['ttl', decision.ttl],
      ]);
    case 'joined':
    case 'following':
      return member([
        ['fwd', new Token('miss')],
        ['collapsed', true],
      ]);
    case 'unavailable':
      return member([['detail', new Token('only-if-cached')]]);
    default: {
      // RFC 9211, section 2.2: `partial`, if only a part of the answer was stored.
      const why = decision.part === null ? decision.kind : 'partial';
      const forward: [string, Token][] = [['fwd', new Token(why)]];
      if (decision.reason !== null && decision.part === null)
        forward.push(['detail', new Token(decision.reason)]);
      return member(forward);
    }
  }
}

/**
 * Returns the member for an expired entry that answers for a failed upstream. `status` is null if the
 * upstream sent none; `ttl` is in seconds and negative.
 */
export function staleStatus(status: number | null, ttl: number): string {
  return member([
    ['fwd', new Token('stale')],
    ...(status === null ? [] : [['fwd-status', status] as const]),
    ['ttl', ttl],
    ['detail', new Token('stale-if-error')],
  ]);
}

/** Appends `own` to the upstream's `Cache-Status`. Drops a value that is not a valid list. */
export function appendCacheStatus(upstreams: string | undefined, own: string): string {
  if (upstreams === undefined || upstreams.trim() === '') return own;
  try {
    parseList(upstreams);
    return `${upstreams}, ${own}`;
  } catch {
    return own;
  }
}

function member(parameters: Parameters): string {
  const parts = parameters.map(([name, value]) =>
    value === true ? name : `${name}=${serializeBareItem(value)}`,
  );
  return ['llm-cache', ...parts].join('; ');
}
