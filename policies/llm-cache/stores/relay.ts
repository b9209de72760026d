/**
 * Shares one upstream call among several gateways. The gateway that holds the lease on a key makes
 * the call, and the others follow it. A store that the gateways share may provide a relay.
 */
export interface Relay {
  /** Resolves to the lease, or null if another gateway holds it. Rejects if that is unknown. */
  lease(key: string): Promise<Lease | null>;
  /** Follows the call of the gateway that holds the lease, from its start. */
  follow(key: string, reader: RelayReader): RelayFollowing;
}

/**
 * How a call ended. `stored`: its answer was stored at `storedAt`. `whole`: its stream was complete,
 * but is not stored. `failed`: neither.
 */
export type CallOutcome =
  | { readonly kind: 'stored'; readonly storedAt: number }
  | { readonly kind: 'whole' }
  | { readonly kind: 'failed' };

/** Held by the gateway that makes the call. No method throws, and `head` and `chunk` do not wait for the store. */
export interface Lease {
  /** Begins a stream that may be shared. */
  head(headers: Readonly<Record<string, string>>): void;
  chunk(bytes: Uint8Array): void;
  /** Ends the call. Resolves when the outcome is published, or cannot be published. */
  end(outcome: CallOutcome): Promise<void>;
}

/** Receives what a followed call publishes. */
export interface RelayReader {
  head(headers: Readonly<Record<string, string>>): void;
  chunk(bytes: Uint8Array): void;
  /** The call succeeded. */
  end(outcome: Exclude<CallOutcome, { kind: 'failed' }>): void;
  /** The call failed, went silent, or published something that cannot be trusted. */
  fail(): void;
}

export interface RelayFollowing {
  stop(): void;
}
