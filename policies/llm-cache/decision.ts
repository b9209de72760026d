import type { AsideReason } from '../shared/reasons.ts';
import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import type { Follower } from './follower.ts';
import type { PartialCall } from './items/partial-call.ts';
import type { Counts } from './stats.ts';

/** What is to be done with a request. */
export type Decision = Hit | Joined | Following | Forward | Unavailable | Gone;

/** Answer it from `entry`; `age` and `ttl` in whole seconds. */
export interface Hit {
  readonly kind: 'hit';
  readonly key: string;
  readonly entry: CachedResponse;
  readonly age: number;
  readonly ttl: number;
}

/** Answer it with what an identical request has just got. */
export interface Joined {
  readonly kind: 'joined';
  readonly key: string;
  readonly entry: CachedResponse;
}

/** Let it read along with an identical request, from the start. */
export interface Following {
  readonly kind: 'following';
  readonly key: string;
  readonly flight: Flight;
  readonly follower: Follower;
}

/** Let it go on to the upstream. */
export interface Forward {
  readonly kind: 'miss' | 'stale' | 'request' | 'bypass';
  readonly reason: AsideReason | null;
  readonly key: string | null;
  /** Sees the answer, stores it where it may, and shares it with those who join. */
  readonly flight: Flight | null;
  /** The expired entry that answers when the upstream fails. */
  readonly fallback: CachedResponse | null;
  /** Asks for a part of the request, where the rest is stored; null where it goes on as it came. */
  readonly part: PartialCall | null;
  /** Resolves when the answer has ended and is stored, or is not to be. Never rejects. */
  readonly settled: Promise<void>;
}

/** Answer 504: the client wants a stored answer or none, and none serves. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly key: string | null;
}

/** Do nothing: the client has left. */
export interface Gone {
  readonly kind: 'gone';
}

/** How a request that goes on is counted. */
export function outcomeOf({ kind }: Forward): 'miss' | 'request' | 'bypass' {
  return kind === 'stale' ? 'miss' : kind;
}

/** Whether the cache answers with what an upstream once answered. */
export function isServed({ kind }: Decision): boolean {
  return kind === 'hit' || kind === 'joined' || kind === 'following';
}

/** Counts an answer that the cache gave itself; not before it is given, for it may yet go on. */
export function countServed({ kind }: Decision, tally: Counts): void {
  if (kind === 'hit') tally.count('hit', null);
  else if (kind === 'joined' || kind === 'following') tally.count('coalesced', null);
}
