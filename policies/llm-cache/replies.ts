import type { Protocol } from '../shared/protocols/protocol.ts';
import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { cacheStatus, staleStatus } from './cache-status.ts';
import { isNegotiated } from './compressed-hits.ts';
import type { Following, Forward, Hit, Joined, Unavailable } from './decision.ts';
import type { CachedResponse } from './entry.ts';

type Headers = Readonly<Record<string, string>>;

/** The head of an answer that the cache gives itself. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: Headers;
}

/** An answer that the cache gives itself, whole. */
export interface Reply extends ReplyHead {
  readonly body: Uint8Array;
}

type CompressHits = LlmCacheSettings['compressHits'];

/** What a stale answer tells of, beside its entry; `status` is null where the upstream gave none. */
interface StaleParts {
  readonly status: number | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly compressHits: CompressHits;
}

/** A stored entry, byte for byte. */
export function hitReply(hit: Hit, compressHits: CompressHits): Reply {
  const reply = whole(hit.entry, 'HIT (exact)', cacheStatus(hit));
  vary(reply, hit.entry, compressHits);
  reply.headers['Age'] = String(hit.age);
  return reply;
}

/** What an identical request has just got. */
export function joinedReply(joined: Joined): Reply {
  return whole(joined.entry, 'HIT (coalesced)', cacheStatus(joined));
}

/** An expired entry, where the upstream has failed. */
export function staleReply(
  entry: CachedResponse,
  { status, now, compressHits }: StaleParts,
): Reply {
  const ttl = Math.floor((entry.freshUntil - now) / 1000);
  const age = Math.max(0, Math.floor((now - entry.storedAt) / 1000));
  const reply = whole(entry, 'HIT (stale)', staleStatus(status, ttl));
  vary(reply, entry, compressHits);
  reply.headers['Age'] = String(age);
  return reply;
}

/** The head of a stream that is under way. */
export function followingHead(following: Following): ReplyHead {
  const headers = marked(
    following.flight.reader.headers,
    'HIT (coalesced)',
    cacheStatus(following),
  );
  return { status: 200, headers };
}

/**
 * In place of an answer to a part of a request that could not be read, and so not be put together
 * with the rest. The official clients ask again, and are then asked for as a whole.
 */
export function unreadableReply(protocol: Protocol): Reply {
  const message = 'The answer to a part of this request could not be read; please ask again.';
  const body = errorBody(protocol.provider, message, 'bad_gateway', 'unreadable_part');
  return { status: 502, headers: { 'Content-Type': 'application/json' }, body: encoded(body) };
}

/** `X-Cache` of an answer that the cache has not given: whether it has looked for one. */
export function forwardedMark({ kind }: Pick<Forward, 'kind'>): 'MISS' | 'BYPASS' {
  return kind === 'miss' || kind === 'stale' ? 'MISS' : 'BYPASS';
}

/** 504 in the protocol's own shape of an error. */
export function unavailableReply(decision: Unavailable, protocol: Protocol): Reply {
  const message =
    'No stored answer can be used for this request, which asks only for a stored one.';
  const body = errorBody(protocol.provider, message, 'gateway_timeout', 'only_if_cached');
  return {
    status: 504,
    headers: {
      'Content-Type': 'application/json',
      'Cache-Status': cacheStatus(decision),
      // The official clients take any 5xx for a passing failure, and would ask three times.
      'X-Should-Retry': 'false',
    },
    body: encoded(body),
  };
}

function encoded(body: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}

function errorBody(provider: string, message: string, type: string, code: string): object {
  if (provider === 'google') return { error: { code: 504, message, status: 'DEADLINE_EXCEEDED' } };
  if (provider === 'cohere') return { message };
  const error = { message, type, code };
  return provider === 'anthropic' ? { type: 'error', error } : { error };
}

function marked(headers: Headers, cache: string, status: string): Record<string, string> {
  return { ...headers, 'X-Cache': cache, 'Cache-Status': status };
}

function whole(entry: CachedResponse, cache: string, status: string) {
  const headers = marked(entry.headers, cache, status);
  if (entry.coding !== undefined) headers['Content-Encoding'] = entry.coding;
  return { status: 200, headers, body: entry.body };
}

/** RFC 9110, section 12.5.5: caches in between are told, in either form. */
function vary(
  { headers }: { headers: Record<string, string> },
  entry: CachedResponse,
  compressHits: CompressHits,
): void {
  if (compressHits === 'auto' && isNegotiated(entry)) headers['Vary'] = 'Accept-Encoding';
}
