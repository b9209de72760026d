import type { Protocol } from '../shared/protocols/protocol.ts';
import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { cacheStatus, staleStatus } from './cache-status.ts';
import { isNegotiated } from './compressed-hits.ts';
import type { Following, Forward, Hit, Joined, Unavailable } from './decision.ts';
import type { CachedResponse } from './entry.ts';

type Headers = Readonly<Record<string, string>>;

/** The head of an answer from the cache. */
export interface ReplyHead {
  readonly status: number;
  readonly headers: Headers;
}

/** A complete answer from the cache. */
export interface Reply extends ReplyHead {
  readonly body: Uint8Array;
}

type CompressHits = LlmCacheSettings['compressHits'];

/** What a stale answer needs besides its entry; `status` is null if the upstream sent none. */
interface StaleParts {
  readonly status: number | null;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly compressHits: CompressHits;
}

/** Returns a stored entry, byte for byte. */
export function hitReply(hit: Hit, compressHits: CompressHits): Reply {
  const reply = whole(hit.entry, 'HIT (exact)', cacheStatus(hit));
  vary(reply, hit.entry, compressHits);
  reply.headers['Age'] = String(hit.age);
  return reply;
}

/** Returns the answer to an identical request. */
export function joinedReply(joined: Joined): Reply {
  return whole(joined.entry, 'HIT (coalesced)', cacheStatus(joined));
}

/** Returns an expired entry, after the upstream failed. */
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

/** Returns the head for a client that reads along with a stream. */
export function followingHead(following: Following): ReplyHead {
  const headers = marked(
    following.flight.reader.headers,
    'HIT (coalesced)',
    cacheStatus(following),
  );
  return { status: 200, headers };
}

/**
 * Returns a 502 for a partial answer that could not be read, and so not be merged with the stored
 * rest. The official clients retry, and the retry is forwarded whole.
 */
export function unreadableReply(protocol: Protocol): Reply {
  const message = 'The answer to a part of this request could not be read; please ask again.';
  const body = errorBody(protocol.provider, 502, message, 'unreadable_part');
  return { status: 502, headers: { 'Content-Type': 'application/json' }, body: encoded(body) };
}

/** Returns the `X-Cache` of a forwarded answer: whether the cache looked for a stored one. */
export function forwardedMark({ kind }: Pick<Forward, 'kind'>): 'MISS' | 'BYPASS' {
  return kind === 'miss' || kind === 'stale' ? 'MISS' : 'BYPASS';
}

/** Returns a 504 in the protocol's own error format. */
export function unavailableReply(decision: Unavailable, protocol: Protocol): Reply {
  const message =
    'No stored answer can be used for this request, which asks only for a stored one.';
  const body = errorBody(protocol.provider, 504, message, 'only_if_cached');
  return {
    status: 504,
    headers: {
      'Content-Type': 'application/json',
      'Cache-Status': cacheStatus(decision),
      // The official clients treat any 5xx as transient, and would retry in vain.
      'X-Should-Retry': 'false',
    },
    body: encoded(body),
  };
}

function encoded(body: object): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(body));
}

/** How OpenAI's and Google's errors name a status. */
const errorNames = {
  502: { type: 'bad_gateway', google: 'UNAVAILABLE' },
  504: { type: 'gateway_timeout', google: 'DEADLINE_EXCEEDED' },
} as const;

function errorBody(
  provider: string,
  status: keyof typeof errorNames,
  message: string,
  code: string,
): object {
  const { type, google } = errorNames[status];
  if (provider === 'google') return { error: { code: status, message, status: google } };
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

/** Tells caches in between that the coding was negotiated (RFC 9110, section 12.5.5), in either coding. */
function vary(
  { headers }: { headers: Record<string, string> },
  entry: CachedResponse,
  compressHits: CompressHits,
): void {
  if (compressHits === 'auto' && isNegotiated(entry)) headers['Vary'] = 'Accept-Encoding';
}
