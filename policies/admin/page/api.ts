import type { PipelineCounts } from '../../llm-cache/stats.ts';

export interface StoreStats {
  readonly type: string;
  readonly entries: number | null;
  readonly bytes: number | null;
  readonly maxBytes: number | null;
  readonly evictions: number;
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
  readonly joiners: number;
  readonly bufferedBytes: number;
  readonly sinks: Readonly<Record<string, SinkStats>>;
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
export type UsageRow = UsageSums & Readonly<Partial<Record<UsageGroup, string | null>>>;

export interface Usage {
  readonly rows: readonly UsageRow[];
  readonly total: UsageSums;
}

export interface EntryInfo {
  readonly key: string;
  readonly store: string;
  readonly namespace: string;
  readonly protocol: string;
  readonly model: string | null;
  readonly requestedModel: string | null;
  readonly consumer: string | null;
  readonly stream: boolean;
  readonly bytes: number;
  readonly storedAt: string;
  readonly age: number;
  readonly ttl: number;
  readonly hits: number;
}

export type EntryOrder = 'bytes' | 'hits';

export interface Entries {
  readonly entries: readonly EntryInfo[];
  readonly complete: boolean;
}

export interface Purged {
  readonly matched: number;
  readonly deleted: number;
}

/** What to throw out; what is absent matches everything. */
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
  /** In words. */
  readonly rule: string;
  readonly key: string | null;
  readonly material: object | null;
  readonly nearest: readonly {
    readonly key: string;
    readonly differs: readonly string[];
    readonly age: number;
  }[];
}

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const getStats = () => call<Stats>('stats');

export const getUsage = (from: string, to: string, group: UsageGroup) =>
  call<Usage>(`usage?${new URLSearchParams({ from, to, group_by: group })}`);

export const getEntries = (order: EntryOrder, limit: number) =>
  call<Entries>(`entries?${new URLSearchParams({ sort: order, limit: String(limit) })}`);

export const purgeEntry = (key: string) =>
  call<Purged>(`entries/${encodeURIComponent(key)}`, { method: 'DELETE' });

export const countMatches = (filter: Filter) =>
  call<Purged>(`entries?${new URLSearchParams({ ...filter, dry_run: '1' })}`, { method: 'DELETE' });

export const purgeMatches = (filter: Filter) =>
  call<Purged>(`entries?${new URLSearchParams({ ...filter })}`, { method: 'DELETE' });

/** As text, for the gateway's admin port takes no more than 100 KB of JSON. */
export const explain = (question: Question) =>
  call<Explanation>('explain', {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: JSON.stringify(question),
  });

/** Paths are relative to the page, so that it works behind a proxy with a prefix of its own. */
async function call<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(`llm-cache/${path}`, {
    ...init,
    cache: 'no-store',
    signal: AbortSignal.timeout(20_000),
  });
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, messageOf(text) ?? response.statusText);
  return JSON.parse(text) as T;
}

function messageOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}

/** What to tell a person about a call that failed. */
export function told(error: unknown): string {
  if (error instanceof ApiError)
    return `${error.message || 'the gateway refused'} (${error.status})`;
  if (error instanceof SyntaxError) return 'the answer is not what the admin API gives';
  return 'the gateway is not reachable';
}
