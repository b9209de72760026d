import type { AnswerFacts, PendingAnswer } from './answer.ts';
import type { ByteAccount } from './bytes/budget.ts';
import type { Identity } from './identity/identity.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import type { RequestBody } from './request-body.ts';

/** A request on a path that the cache serves, from any host. */
export interface LlmRequest {
  readonly protocol: Protocol;
  /** The path that the client sent, without its query. */
  readonly path: string;
  /** The query that the client sent, with its question mark; empty without one. */
  readonly query: string;
  /** The path and query that will be forwarded, which a policy may have rewritten. */
  readonly forwardedUrl: string;
  /** The apiEndpoint that matched. */
  readonly apiEndpoint: string | null;
  /** The host's own id of the request. */
  readonly requestId: string | null;
  /** The client's identity, as the host authenticated it. Throws if the host cannot tell. */
  readonly identity: Identity;
  /** The account of the bytes that are held for this request. */
  readonly account: ByteAccount;
  /** Calls `then` once, when the client has all that it will get or its connection has closed. */
  whenOver(then: () => void): void;
  /** Aborted if the client leaves before it has its answer. */
  readonly left: AbortSignal;
  /** Returns a header as it will be forwarded, by its lower-case name. */
  header(name: string): string | undefined;
  /** All headers as they will be forwarded, by name; a policy may have written one in any case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The header lines as the client sent them: a name in any case, then its value, and so on. */
  readonly ownHeaders: readonly string[];
  /** Whether the answer may be sent as gzip: the client accepts it, and nothing in between reads the body. */
  readonly takesGzip: boolean;
  /**
   * Reads the body that will be forwarded, once, and offers it to the host again. If the body cannot
   * be held, it streams on unread and the result is the reason; `gone` means that the client left
   * before the end. Returns synchronously if the body has already been read.
   */
  body(maxBytes: number): RequestBody | BodyReason | Promise<RequestBody | BodyReason>;
}

export type BodyReason = 'request-too-large' | 'buffer-limit' | 'not-json' | 'gone';

/** How the cache answered, if the answer is not the provider's to this very request. */
export type CacheType = 'exact' | 'semantic' | 'coalesced' | 'stale';

/** One request and its answer, as both policies see it. */
export interface Exchange {
  readonly request: LlmRequest;
  /** The status that the client gets or got; 499 if it left before there was a head to send. */
  readonly status: number;
  /** The status of the provider's answer to this very request; null if there was none. */
  readonly providerStatus: number | null;
  /** How the cache answered; null if it did not. */
  cacheType: CacheType | null;
  /** The cache key of the request; null if the cache took no part. */
  cacheKey: string | null;
  /**
   * The source of the usage record: the facts of a stored answer, or the answer that one of the two
   * policies is reading. Null if neither reads one.
   */
  answer: AnswerFacts | PendingAnswer | null;
  /** The part that the cache added to the provider's answer; null if it added nothing. */
  saved: AnswerFacts | null;
  /** Calls `then` once, when the client has all that it will get or its connection has closed. */
  whenOver(then: () => void): void;
}

/** The status that nginx logs if the client left before there was a head to send. */
export const clientClosedRequest = 499;

/** Observes a response on its way to the client. Its methods never throw and never wait. */
export interface ResponseObserver {
  /** True once further bytes change nothing, so that they need not be decoded. */
  readonly isDone: boolean;
  /** Called before the head is sent. */
  head(status: number, header: (name: string) => string | undefined): void;
  /** Called with the next bytes of the body, decoded. */
  chunk(bytes: Uint8Array): void;
  /** Called after the whole body has passed. */
  end(): void;
  /** Called in place of `end` if the body will not be whole; `reason` says why. */
  abort(reason: RefusalReason): void;
}

/** The hashes of a host, as base64url without padding. */
export interface Digest {
  sha256(text: string): string;
  /** An HMAC with the operator's `scopeSecret`, truncated to 128 bits. */
  hmac(text: string): string;
}
