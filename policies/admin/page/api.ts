import type {
  Budget,
  Entries,
  EntryOrder,
  Explanation,
  Filter,
  Imported,
  Purged,
  Question,
  RequestDetail,
  RequestFilter,
  Requests,
  Stats,
  Usage,
  UsageGroup,
} from './answers.ts';

export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export const getStats = () => call<Stats>('stats');

export const getUsage = (from: string, to: string, group: UsageGroup) =>
  call<Usage>(`usage?${new URLSearchParams({ from, to, group_by: group, compare: 'previous' })}`);

/** Returns the address of the sums of these days as a CSV file. */
export const csvAddress = (from: string, to: string) =>
  `llm-cache/usage?${new URLSearchParams({ from, to, group_by: 'day,model,consumer_id,api_endpoint', format: 'csv' })}`;

export const getBudgets = () =>
  call<{ readonly budgets: readonly Budget[] }>('budgets').then(({ budgets }) => budgets);

/** Resolves to null if the gateway keeps no recent requests. */
export async function getRequests(filter: RequestFilter, limit: number): Promise<Requests | null> {
  const query = new URLSearchParams({ ...filter, limit: String(limit) });
  try {
    return await call<Requests>(`requests?${query}`);
  } catch (error) {
    if (error instanceof ApiError && error.message.includes('admin.recentRequests')) return null;
    throw error;
  }
}

export const getRequest = (id: string) => call<RequestDetail>(`requests/${encodeURIComponent(id)}`);

export const getEntries = (order: EntryOrder, limit: number) =>
  call<Entries>(`entries?${new URLSearchParams({ sort: order, limit: String(limit) })}`);

export const purgeEntry = (key: string) =>
  call<Purged>(`entries/${encodeURIComponent(key)}`, { method: 'DELETE' });

export const countMatches = (filter: Filter) =>
  call<Purged>(`entries?${new URLSearchParams({ ...filter, dry_run: '1' })}`, { method: 'DELETE' });

export const purgeMatches = (filter: Filter) =>
  call<Purged>(`entries?${new URLSearchParams({ ...filter })}`, { method: 'DELETE' });

/** Returns the address of a store's entries as a file. */
export const exportAddress = (store: string) =>
  `llm-cache/export?${new URLSearchParams({ store })}`;

/** Imports a file, which may be large, so the timeout is long. */
export const importEntries = (store: string, file: Blob) =>
  call<Imported>(
    `import?${new URLSearchParams({ store })}`,
    { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: file },
    30 * 60_000,
  );

/**
 * Asks for an explanation. Sends text, since the gateway's admin port accepts at most 100 KB of
 * JSON.
 */
export const explain = (question: Question) =>
  call<Explanation>('explain', {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: JSON.stringify(question),
  });

/**
 * Calls the admin API. Paths are relative to the page, so that it works behind a proxy that adds a
 * prefix.
 */
async function call<T>(path: string, init: RequestInit = {}, atMostMs = 20_000): Promise<T> {
  const response = await fetch(`llm-cache/${path}`, {
    ...init,
    cache: 'no-store',
    signal: AbortSignal.timeout(atMostMs),
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

/** Describes a failed call to the user. */
export function told(error: unknown): string {
  if (error instanceof ApiError) {
    const { status, message } = error;
    const hint = status === 401 ? '; sign in and reload this page' : '';
    return `${message || 'the gateway refused'} (${status})${hint}`;
  }
  if (error instanceof SyntaxError) return 'the answer does not come from the admin API';
  return 'the gateway is not reachable';
}
