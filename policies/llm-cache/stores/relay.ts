/**
 * One call to the upstream for several gateways: the one that has the lease on a key makes the
 * call, the others read along. A store that all of them see may offer it.
 */
export interface Relay {
  /** Takes the lease; null where another gateway has it. Rejects when that cannot be told. */
  lease(key: string): Promise<Lease | null>;
  /** Reads along with the gateway that has the lease, from the start. */
  follow(key: string, reader: RelayReader): RelayFollowing;
}

/** How a call ended: its answer is in the store, as of `storedAt`; a stream was whole, and is not; neither. */
export type CallOutcome =
  | { readonly kind: 'stored'; readonly storedAt: number }
  | { readonly kind: 'whole' }
  | { readonly kind: 'failed' };

/** Held by the gateway that makes the call. None of its methods throws or waits for the store. */
export interface Lease {
  /** A stream that may be shared begins. */
  head(headers: Readonly<Record<string, string>>): void;
  chunk(bytes: Uint8Array): void;
  /** The call is over. Resolves when the others can know, or cannot be told. */
  end(outcome: CallOutcome): Promise<void>;
}

/** What a gateway that reads along is told. */
export interface RelayReader {
  head(headers: Readonly<Record<string, string>>): void;
  chunk(bytes: Uint8Array): void;
  /** The call ended well. */
  end(outcome: Exclude<CallOutcome, { kind: 'failed' }>): void;
  /** The call failed, or nothing trustworthy is heard of it any more. */
  fail(): void;
}

export interface RelayFollowing {
  stop(): void;
}
