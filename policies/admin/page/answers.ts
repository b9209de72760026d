import type { OutcomeName, PipelineCounts } from '../../llm-cache/stats.ts';

export interface StoreStats {
  readonly type: string;
  readonly entries: number | null;
  readonly bytes: number | null;
  readonly maxBytes: number | null;
  readonly evictions: number;
  /** What its evictions cost; absent from a store that evicts nothing itself. */
  readonly eviction?: {
    readonly missedHits: number;
    readonly missedUsd: number;
    readonly twiceTheMemory: { readonly hits: number; readonly usd: number } | null;
  };
  readonly errors: number;
  readonly droppedWrites: number;
  readonly healthy: boolean;
}

export interface SinkStats {
  readonly dropped: number;
  readonly failures: number;
}

export interface Stats {
  readonly version: string;
  readonly uptime: number;
  readonly stores: Readonly<Record<string, StoreStats>>;
  readonly pipelines: Readonly<Record<string, PipelineCounts>>;
  readonly tryout: Tryout | null;
  readonly joiners: number;
  readonly bufferedBytes: number;
  readonly sinks: Readonly<Record<string, SinkStats>>;
}

/** An example request with which to try the cache. */
export interface Tryout {
  readonly port: number | null;
  readonly path: string;
  readonly needsCredential: boolean;
}

export interface UsageSums {
  readonly requests: number;
  readonly hits: number;
  readonly hits_by_type: Readonly<Record<string, number>>;
  readonly billed_tokens: number;
  readonly saved_tokens: number;
  readonly billed_cost: number | null;
  readonly saved_cost: number | null;
  readonly unpriced_requests: number;
}

export type UsageGroup = 'day' | 'model' | 'consumer_id';
export type UsageRow = UsageSums &
  Readonly<Partial<Record<UsageGroup | 'consumer_name', string | null>>>;

export interface PeriodUsage {
  readonly from: string;
  readonly to: string;
  /** The first day with figures. */
  readonly since: string | null;
  readonly rows: readonly UsageRow[];
  readonly total: UsageSums;
}

export interface Usage extends PeriodUsage {
  /** The same for the previous period. */
  readonly previous: PeriodUsage;
}

export interface Budget {
  readonly name: string;
  readonly consumer: string | null;
  readonly consumerId: string | null;
  readonly consumerName: string | null;
  readonly model: string | null;
  readonly apiEndpoint: string | null;
  readonly per: 'day' | 'month';
  readonly usd: number;
  readonly spent: number;
  readonly unpricedRequests: number;
  readonly state: 'ok' | 'near' | 'over';
  readonly from: string;
  readonly to: string;
}

export interface EntryInfo {
  readonly key: string;
  readonly store: string;
  readonly namespace: string;
  readonly protocol: string;
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly consumer: string | null;
  readonly consumerName: string | null;
  readonly stream: boolean;
  /** The names of the request's parts. */
  readonly parts: readonly string[];
  readonly tokens: number | null;
  /** What one hit saves and what all hits saved, in USD. */
  readonly cost: number | null;
  readonly saved: number | null;
  readonly bytes: number;
  readonly storedAt: string;
  readonly age: number;
  readonly ttl: number;
  readonly hits: number;
}

export type EntryOrder = 'saved' | 'hits' | 'bytes';

export interface Entries {
  readonly entries: readonly EntryInfo[];
  readonly complete: boolean;
}

export interface Imported {
  readonly imported: number;
  readonly skipped: number;
  readonly refused: number;
}

export interface Purged {
  readonly matched: number;
  readonly deleted: number;
}

/** Which entries to purge; an absent member matches everything. */
export interface Filter {
  readonly namespace?: string;
  readonly model?: string;
  readonly consumer?: string;
}

export interface Question {
  readonly apiEndpoint: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly consumer?: string;
  readonly body: string;
}

export interface Explanation {
  readonly outcome: string;
  readonly reason: string | null;
  /** The reason as a sentence. */
  readonly rule: string;
  readonly key: string | null;
  readonly material: object | null;
  readonly consumer: { readonly id: string; readonly name: string | null } | null;
  readonly nearest: readonly Near[];
}

/** A stored request and the parts in which it differs from the one in question. */
export interface Near {
  readonly key: string;
  readonly differs: readonly string[];
  readonly age: number;
  readonly model: string | null;
  readonly consumer: string | null;
  readonly consumerName: string | null;
}

export interface RequestInfo {
  readonly id: string;
  readonly time: string;
  readonly pipeline: string;
  readonly apiEndpoint: string | null;
  readonly requestId: string | null;
  readonly outcome: OutcomeName | 'pass' | 'left';
  readonly reason: string | null;
  readonly notStored: string | null;
  readonly expired: boolean;
  readonly key: string | null;
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly consumer: string | null;
  readonly consumerName: string | null;
  readonly stream: boolean | null;
  readonly status: number;
  readonly billed: boolean;
  readonly totalTokens: number | null;
  readonly cost: number | null;
  readonly durationMs: number;
}

export interface Requests {
  readonly requests: readonly RequestInfo[];
}

export interface RequestDetail {
  readonly request: RequestInfo;
  readonly entry: EntryInfo | null;
  readonly nearest: readonly Near[];
}

export type RequestFilter = Readonly<
  Partial<Record<'pipeline' | 'outcome' | 'reason' | 'model' | 'consumer', string>>
>;
