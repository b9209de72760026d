import type { AnswerFacts, PendingAnswer } from './answer.ts';
import type { ByteAccount } from './bytes/budget.ts';
import type { Identity } from './identity/identity.ts';
import type { Protocol } from './protocols/protocol.ts';
import type { RefusalReason } from './reasons.ts';
import type { RequestBody } from './request-body.ts';

/** A request on a path that the cache serves, whatever carried it here. */
export interface LlmRequest {
  readonly protocol: Protocol;
  /** The path that the client sent, without its query. */
  readonly path: string;
  /** The query that the client sent, with its question mark; empty without one. */
  readonly query: string;
  /** The path and query that will be forwarded, where a policy rewrote them. */
  readonly forwardedUrl: string;
  /** The apiEndpoint that matched. */
  readonly apiEndpoint: string | null;
  /** The host's own id of the request. */
  readonly requestId: string | null;
  /** Who asks, as the host has authenticated it. Throws where that could not be told. */
  readonly identity: Identity;
  /** Where the bytes are accounted for that are held for it. */
  readonly account: ByteAccount;
  /** Calls `then` once, when the client has all that it will get, or its connection is gone. */
  whenOver(then: () => void): void;
  /** Aborted when the client has left before it had its answer. */
  readonly left: AbortSignal;
  /** A header as it will be forwarded, by lower-case name. */
  header(name: string): string | undefined;
  /** All headers as they will be forwarded, by name; a policy may have written one in any case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Every header line as the client itself sent it: a name in any case, its value, and so on. */
  readonly ownHeaders: readonly string[];
  /** Whether the answer may be compressed (gzip): the client accepts that, and nothing reads it on its way. */
  readonly takesGzip: boolean;
  /**
   * The body that will be forwarded, read once and offered again. Where it cannot be held it flows
   * on as it is and the reason is told; `gone` when the client left before its end. At once where
   * it has been read already.
   */
  body(maxBytes: number): RequestBody | BodyReason | Promise<RequestBody | BodyReason>;
}

export type BodyReason = 'request-too-large' | 'buffer-limit' | 'not-json' | 'gone';

/** Who answered, when it was not the provider for this very request. */
export type CacheType = 'exact' | 'semantic' | 'coalesced' | 'stale';

/** One request and its answer, as both policies see it. */
export interface Exchange {
  readonly request: LlmRequest;
  /** What the client got, or gets; 499 when it left before there was a head to send. */
  readonly status: number;
  /** What the provider answered to this very request; null where no provider did. */
  readonly providerStatus: number | null;
  /** How the cache answered; null where it did not. */
  cacheType: CacheType | null;
  /** The key that the cache knows the request by; null where the cache had no part in it. */
  cacheKey: string | null;
  /**
   * What the books take from the answer: at once where the cache answered from what is stored, else
   * when the one policy that reads the answer has read it. Null where none does.
   */
  answer: AnswerFacts | PendingAnswer | null;
  /** What the cache added to the provider's answer; null where all of it is the provider's. */
  saved: AnswerFacts | null;
  /** Calls `then` once, when the client has all that it will get, or its connection is gone. */
  whenOver(then: () => void): void;
}

/** Nginx's status for a client that left before there was a head to send. */
export const clientClosedRequest = 499;

/** Watches a response on its way to the client. None of its methods throws or waits. */
export interface ResponseObserver {
  /** True once nothing that comes tells it more, so that it need not be decoded. */
  readonly isDone: boolean;
  /** The head is about to go out. */
  head(status: number, header: (name: string) => string | undefined): void;
  /** The next bytes of the body, decoded. */
  chunk(bytes: Uint8Array): void;
  /** The whole body has passed. */
  end(): void;
  /** It will not: `reason` says why. */
  abort(reason: RefusalReason): void;
}

/** Hashes; in their text form they are base64url without padding. */
export interface Digest {
  sha256(text: string): string;
  /** Keyed with the operator's `scopeSecret`, cut to 128 bits. */
  hmac(text: string): string;
}
