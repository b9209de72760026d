import type { AsideReason } from '../shared/reasons.ts';
import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import type { Follower } from './follower.ts';
import type { PartialCall } from './items/partial-call.ts';
import type { Counts } from './stats.ts';

/** How to handle a request. */
export type Decision = Hit | Joined | Following | Forward | Unavailable | Gone;

/** Answer from `entry`; `age` and `ttl` are whole seconds. */
export interface Hit {
  readonly kind: 'hit';
  readonly key: string;
  readonly entry: CachedResponse;
  readonly age: number;
  readonly ttl: number;
}

/** Answer with the complete answer to an identical request. */
export interface Joined {
  readonly kind: 'joined';
  readonly key: string;
  readonly entry: CachedResponse;
}

/** Read along with an identical request's stream, from the start. */
export interface Following {
  readonly kind: 'following';
  readonly key: string;
  readonly flight: Flight;
  readonly follower: Follower;
}

/** Forward the request to the upstream. */
export interface Forward {
  readonly kind: 'miss' | 'stale' | 'request' | 'bypass';
  readonly reason: AsideReason | null;
  readonly key: string | null;
  /** Reads the answer, and shares it with joiners; null if the cache ignores the answer. */
  readonly flight: Flight | null;
  /** The expired entry that answers if the upstream fails. */
  readonly fallback: CachedResponse | null;
  /** The call for the inputs that are not stored; null if the request is forwarded unchanged. */
  readonly part: PartialCall | null;
  /** Resolves when the answer has ended and has been stored or refused. Never rejects. */
  readonly settled: Promise<void>;
}

/** Answer 504: the client accepts only a stored response, and none is usable. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly key: string | null;
}

/** Do nothing: the client has left. */
export interface Gone {
  readonly kind: 'gone';
}

/** Returns the outcome to count for a forwarded request. */
export function outcomeOf({ kind }: Forward): 'miss' | 'request' | 'bypass' {
  return kind === 'stale' ? 'miss' : kind;
}

/** Returns whether the cache answers: from the store, or with the answer to an identical request. */
export function isServed({ kind }: Decision): boolean {
  return kind === 'hit' || kind === 'joined' || kind === 'following';
}

/** Counts an answer from the cache. Call after its delivery: if that fails, the request is forwarded. */
export function countServed({ kind }: Decision, tally: Counts): void {
  if (kind === 'hit') tally.count('hit', null);
  else if (kind === 'joined' || kind === 'following') tally.count('coalesced', null);
}
