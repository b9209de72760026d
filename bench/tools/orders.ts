/** What every answer must be, or the load fails. */
export interface Expected {
  /** The bytes of the body; null where they are not known beforehand. */
  readonly body: string | null;
  /** The value of `X-Cache`; null where there must be none. */
  readonly cache: string | null;
}

export interface Target extends Expected {
  readonly url: string;
  readonly request: string;
  /** Whether the client accepts gzip, and gets it. */
  readonly gzip?: boolean;
}

/** So many connections, each of which asks again as soon as it has its answer. */
export interface LoadOrder extends Target {
  readonly kind: 'load';
  readonly connections: number;
  readonly seconds: number;
}

/** One request at a time, to each of the targets in turn, of a stream whose events say when they were written. */
export interface ProbeOrder {
  readonly kind: 'probe';
  readonly targets: readonly Target[];
  readonly times: number;
}

/** So many connections that ask once, all at the same time, for such a stream. */
export interface CrowdOrder extends Target {
  readonly kind: 'crowd';
  readonly readers: number;
}

export type Order = LoadOrder | ProbeOrder | CrowdOrder;

/** Milliseconds. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

export interface ProbeResult {
  /** From the request to the first byte of the body. */
  readonly firstBytes: number[];
  /** From the upstream's write to the client's read, of every event. */
  readonly delays: number[];
  /** Events that came later than the next one was written. */
  held: number;
}

export interface CrowdResult extends ProbeResult {
  /** From the first request to the last byte. */
  readonly took: number;
  /** Answers with this `X-Cache`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Different bodies among the answers. */
  readonly bodies: number;
}

export interface Results {
  readonly load: LoadResult;
  readonly probe: readonly ProbeResult[];
  readonly crowd: CrowdResult;
}
