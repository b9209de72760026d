import type { Protocol } from '../shared/protocols/protocol.ts';
import { cacheStatus, staleStatus } from './cache-status.ts';
import type { Following, Hit, Joined, Unavailable } from './decision.ts';
import type { CachedResponse } from './entry.ts';

/** The head of an answer that the cache gives itself. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer that the cache gives itself, whole. */
export interface Reply extends ReplyHead {
  readonly body: Uint8Array;
}

/** A stored entry, byte for byte. */
export function hitReply(hit: Hit): Reply {
  return whole(hit.entry, { ...marks('HIT (exact)', cacheStatus(hit)), Age: String(hit.age) });
}

/** What an identical request has just got. */
export function joinedReply(joined: Joined): Reply {
  return whole(joined.entry, marks('HIT (coalesced)', cacheStatus(joined)));
}

/** An expired entry, where the upstream has failed; `status` is null where it gave none. */
export function staleReply(entry: CachedResponse, status: number | null, now: number): Reply {
  const ttl = Math.floor((entry.freshUntil - now) / 1000);
  const age = Math.floor((now - entry.storedAt) / 1000);
  return whole(entry, { ...marks('HIT (stale)', staleStatus(status, ttl)), Age: String(age) });
}

/** The head of a stream that is under way. */
export function followingHead(following: Following): ReplyHead {
  const own = marks('HIT (coalesced)', cacheStatus(following));
  return { status: 200, headers: { ...following.flight.headers, ...own } };
}

/** 504 in the protocol's own shape of an error. */
export function unavailableReply(decision: Unavailable, protocol: Protocol): Reply {
  const error = {
    message: 'Nothing stored answers this request, and it asks for a stored answer only.',
    type: 'gateway_timeout',
    code: 'only_if_cached',
  };
  const body = protocol.name === 'messages' ? { type: 'error', error } : { error };
  return {
    status: 504,
    headers: { 'Content-Type': 'application/json', 'Cache-Status': cacheStatus(decision) },
    body: new TextEncoder().encode(JSON.stringify(body)),
  };
}

function marks(cache: string, status: string): Record<string, string> {
  return { 'X-Cache': cache, 'Cache-Status': status };
}

function whole(entry: CachedResponse, own: Readonly<Record<string, string>>): Reply {
  return { status: 200, headers: { ...entry.headers, ...own }, body: entry.body };
}
