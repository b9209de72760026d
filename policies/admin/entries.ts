import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type Store,
  UnknownCursor,
} from '../llm-cache/stores/store.ts';
import { AdminError, type AdminRequest, readFlag, readQuery } from './http.ts';

/** Every store that has entries of its own, by name. */
export type EntryStores = readonly (readonly [name: string, store: Store])[];

const filterNames = ['namespace', 'model', 'consumer'] as const;
const defaultLimit = 50;
const maxLimit = 500;
/** How long a search for the largest or most used goes on. */
const maxSortMs = 2000;

/** `GET /llm-cache/entries`: one page or, sorted, the first of all. */
export async function listEntries(
  req: AdminRequest,
  all: EntryStores,
  now: number,
): Promise<object> {
  const query = readQuery(req, [...filterNames, 'store', 'limit', 'cursor', 'sort']);
  const entryStores = chosen(all, query.store);
  const filter = readFilter(query);
  const limit = readLimit(query.limit);
  const { sort, cursor } = query;
  if (sort !== undefined) {
    if (cursor !== undefined) throw new AdminError(400, '"cursor" cannot stand beside "sort"');
    if (sort !== 'bytes' && sort !== 'hits') {
      throw new AdminError(400, '"sort" must be one of bytes, hits');
    }
    return top(entryStores, filter, sort, limit, now);
  }
  return page(entryStores, filter, limit, cursor ?? null, now);
}

/** `GET /llm-cache/entries/:key`. */
export async function showEntry(
  req: AdminRequest,
  entryStores: EntryStores,
  now: number,
): Promise<object> {
  readQuery(req, []);
  for (const key of keysIn(req)) {
    for (const [name, store] of entryStores) {
      const found = await store.look(key);
      if (found === undefined) continue;
      const { headers, usage, responseId, freshUntil } = found.head;
      const more = { responseId, usage, headers, freshUntil: new Date(freshUntil).toISOString() };
      return { ...shown(name, found, now), ...more };
    }
  }
  throw new AdminError(404, 'no entry has this key');
}

/** `DELETE /llm-cache/entries/:key`. */
export async function deleteEntry(req: AdminRequest, entryStores: EntryStores): Promise<object> {
  const isDry = readFlag('dry_run', readQuery(req, ['dry_run']).dry_run);
  for (const key of keysIn(req)) {
    let matched = 0;
    for (const [, store] of entryStores) {
      const isThere = isDry ? (await store.look(key)) !== undefined : await store.delete(key);
      if (isThere) matched++;
    }
    if (matched > 0) return { matched, deleted: isDry ? 0 : matched };
  }
  throw new AdminError(404, 'no entry has this key');
}

/** `DELETE /llm-cache/entries`. */
export async function purgeEntries(req: AdminRequest, all: EntryStores): Promise<object> {
  const query = readQuery(req, [...filterNames, 'store', 'all', 'dry_run']);
  const isDry = readFlag('dry_run', query.dry_run);
  const filter = readFilter(query);
  const isForAll = readFlag('all', query.all);
  if (Object.keys(filter).length === 0 && !isForAll) {
    throw new AdminError(
      400,
      `say which entries: one of ${filterNames.join(', ')}, or all=1 for every entry`,
    );
  }
  let matched = 0;
  for (const [, store] of chosen(all, query.store)) matched += await store.purge(filter, isDry);
  return { matched, deleted: isDry ? 0 : matched };
}

function chosen(entryStores: EntryStores, name: string | undefined): EntryStores {
  if (name === undefined) return entryStores;
  const found = entryStores.filter(([one]) => one === name);
  if (found.length > 0) return found;
  const names = entryStores.map(([one]) => one).join(', ');
  throw new AdminError(400, `"store" must be one of ${names}`);
}

function readFilter(query: Readonly<Record<string, string | undefined>>): EntryFilter {
  const found = filterNames.flatMap((name) => {
    const value = query[name];
    if (value === '') throw new AdminError(400, `"${name}" is empty`);
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return defaultLimit;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > maxLimit) {
    throw new AdminError(400, `"limit" must be a whole number from 1 to ${maxLimit}`);
  }
  return limit;
}

/** The key as it was decoded, and as it came: a key may have a percent sign of its own. */
function keysIn(req: AdminRequest): ReadonlySet<string> {
  const raw = req.originalUrl.split('?')[0]?.split('/').at(-1) ?? '';
  return new Set([req.params['key'] ?? '', raw]);
}

/** The stores one after the other; a page may be short at the end of each. */
async function page(
  entryStores: EntryStores,
  filter: EntryFilter,
  limit: number,
  cursor: string | null,
  now: number,
): Promise<object> {
  let { index, inner } = cursor === null ? { index: 0, inner: null } : readCursor(cursor);
  const entries: object[] = [];
  for (; index < entryStores.length; index++, inner = null) {
    const [name, store] = entryStores[index] ?? [];
    if (name === undefined || store === undefined) break;
    if (entries.length === limit) {
      // A page that is full is the last one where the stores that follow have nothing.
      const { entries: more, cursor: further } = await store.list(filter, {
        limit: 1,
        cursor: null,
      });
      if (more.length === 0 && further === null) continue;
      return { entries, cursor: writeCursor(index, null) };
    }
    const found: Page = await listOrRefuse(store, filter, limit - entries.length, inner);
    entries.push(...found.entries.map((entry) => shown(name, entry, now)));
    if (found.cursor !== null) return { entries, cursor: writeCursor(index, found.cursor) };
  }
  return { entries, cursor: null };
}

async function listOrRefuse(
  store: Store,
  filter: EntryFilter,
  limit: number,
  cursor: string | null,
): Promise<Page> {
  try {
    return await store.list(filter, { limit, cursor });
  } catch (error) {
    if (error instanceof UnknownCursor) throw unknownCursor();
    throw error;
  }
}

async function top(
  entryStores: EntryStores,
  filter: EntryFilter,
  sort: 'bytes' | 'hits',
  limit: number,
  now: number,
): Promise<object> {
  const until = performance.now() + maxSortMs;
  let best: (readonly [string, ListedEntry])[] = [];
  let complete = true;
  for (const [name, store] of entryStores) {
    for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null;) {
      if (performance.now() > until) {
        complete = false;
        break;
      }
      const found: Page = await store.list(filter, { limit: maxLimit, cursor });
      best = [...best, ...found.entries.map((entry) => [name, entry] as const)]
        .toSorted(([, one], [, other]) => other[sort] - one[sort])
        .slice(0, limit);
      ({ cursor } = found);
      isFirst = false;
    }
  }
  return { entries: best.map(([name, entry]) => shown(name, entry, now)), cursor: null, complete };
}

function shown(store: string, { key, head, bytes, hits }: ListedEntry, now: number): object {
  const age = Math.max(0, Math.floor((now - head.storedAt) / 1000));
  return {
    key,
    store,
    namespace: head.namespace,
    protocol: head.protocol,
    model: head.model,
    requestedModel: head.requestedModel,
    consumer: head.consumer,
    stream: head.stream,
    bytes,
    storedAt: new Date(head.storedAt).toISOString(),
    age,
    ttl: Math.floor((head.freshUntil - now) / 1000),
    hits,
  };
}

/** Opaque to the client: the store's place, and the store's own cursor. */
function writeCursor(index: number, inner: string | null): string {
  return Buffer.from(JSON.stringify([index, inner])).toString('base64url');
}

function readCursor(cursor: string): { index: number; inner: string | null } {
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(read)) {
      const [index, inner] = read as unknown[];
      const isInner = inner === null || typeof inner === 'string';
      if (Number.isInteger(index) && Number(index) >= 0 && isInner) {
        return { index: Number(index), inner };
      }
    }
  } catch {
    // Not one of ours either.
  }
  throw unknownCursor();
}

function unknownCursor(): AdminError {
  return new AdminError(400, '"cursor" is not one that a page has given');
}
