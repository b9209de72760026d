/** How long gateways that share a call wait for Redis and for each other, in milliseconds. */
export interface RelayTiming {
  /** A gateway loses its lease if it does not renew it for this long. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long bytes are buffered before they are published. */
  readonly gatherMs: number;
  /** How long published frames stay readable after the last frame or renewal. */
  readonly liveMs: number;
  readonly pollMs: number;
  readonly retryMs: number;
  /** How long a call under way tolerates a Redis that does not respond. */
  readonly patienceMs: number;
  /** The same for a follower that has received no byte yet, and so can make its own call. */
  readonly waitingMs: number;
  /** How long followers wait for a gateway to take its lapsed lease again. */
  readonly leaderlessMs: number;
}

export const usualTiming: RelayTiming = {
  leaseMs: 5000,
  renewMs: 1500,
  gatherMs: 20,
  liveMs: 20_000,
  pollMs: 25,
  retryMs: 100,
  patienceMs: 8000,
  waitingMs: 2000,
  leaderlessMs: 2500,
};
