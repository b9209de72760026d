/** How long gateways that share a call bear with Redis, and with one another; in milliseconds. */
export interface RelayTiming {
  /** A gateway that does not renew its lease for so long has lost it. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How long bytes are gathered before they are published. */
  readonly gatherMs: number;
  /** How long what a call published stays readable without a sign of life. */
  readonly liveMs: number;
  readonly pollMs: number;
  readonly retryMs: number;
  /** How long a call under way bears with a Redis that does not answer. */
  readonly patienceMs: number;
  /** The same, for those who have seen no byte yet and can make a call of their own. */
  readonly waitingMs: number;
  /** How long a lease that is gone may be taken again by the gateway that had it. */
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
