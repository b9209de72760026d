/** What every answer must match, or the load fails. */
export interface Expected {
  /** The body; null if it is not known beforehand. */
  readonly body: string | null;
  /** The value of `X-Cache`; null if the header must be absent. */
  readonly cache: string | null;
}

export interface Target extends Expected {
  readonly url: string;
  readonly request: string;
  /** Whether the client accepts gzip and expects it. */
  readonly gzip?: boolean;
}

/** Connections that each send the next request as soon as the answer has arrived. */
export interface LoadOrder extends Target {
  readonly kind: 'load';
  readonly connections: number;
  readonly seconds: number;
}

/** One request at a time, to each target in turn, for a stream of stamped events. */
export interface ProbeOrder {
  readonly kind: 'probe';
  readonly targets: readonly Target[];
  readonly times: number;
}

/** Connections that each send one request at the same time, for a stream of stamped events. */
export interface CrowdOrder extends Target {
  readonly kind: 'crowd';
  readonly readers: number;
}

export type Order = LoadOrder | ProbeOrder | CrowdOrder;

/** Latencies are in milliseconds. */
export interface LoadResult {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

export interface ProbeResult {
  /** From the request to the first byte of the body. */
  readonly firstBytes: number[];
  /** From the upstream's write to the client's read, for every event. */
  readonly delays: number[];
  /** The number of events that arrived after the next event had been written. */
  held: number;
}

export interface CrowdResult extends ProbeResult {
  /** From the first request to the last byte. */
  readonly took: number;
  /** The number of answers by `X-Cache`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The number of different bodies. */
  readonly bodies: number;
}

export interface Results {
  readonly load: LoadResult;
  readonly probe: readonly ProbeResult[];
  readonly crowd: CrowdResult;
}
