import { partNames } from '../llm-cache/fingerprint.ts';
import type { EntryFilter, ListedEntry } from '../llm-cache/stores/store.ts';
import { answerCost } from '../llm-usage/answer-cost.ts';
import type { Ledger } from '../llm-usage/ledger.ts';
import type { PriceList } from '../llm-usage/price-list.ts';
import type { ConsumerNames } from './consumers.ts';
import { hasAny, type LocatedEntry, type EntryStores, pageOf, topOf } from './entry-listing.ts';
import { AdminError, type AdminRequest, readFlag, readQuery } from './http.ts';

/** The services needed to identify a consumer. */
export interface ConsumerServices {
  readonly entryStores: EntryStores;
  readonly consumers: ConsumerNames;
  readonly ledger: Ledger;
}

/** The services needed to list entries. */
export interface EntryServices extends ConsumerServices {
  readonly prices: PriceList;
}

export const filterNames = ['namespace', 'model', 'consumer'] as const;
/** The sort orders of the list: a higher score comes first. */
const scores: ReadonlyMap<string, (entry: ListedEntry, prices: PriceList) => number> = new Map([
  ['bytes', ({ bytes }: ListedEntry) => bytes],
  ['hits', ({ hits }: ListedEntry) => hits],
  [
    'saved',
    ({ hits, head }: ListedEntry, prices: PriceList) =>
      hits === 0 ? 0 : hits * (answerCost(head, prices) ?? 0),
  ],
]);

const defaultLimit = 50;
const maxLimit = 500;

/** Answers `GET /llm-cache/entries`: one page or, with `sort`, the top entries of all. */
export async function listEntries(
  req: AdminRequest,
  services: EntryServices,
  now: number,
): Promise<object> {
  const query = readQuery(req, [...filterNames, 'store', 'limit', 'cursor', 'sort']);
  const entryStores = storesNamed(services.entryStores, query.store);
  const filter = await readFilter(query, services);
  const limit = readLimit(query.limit, { fallback: defaultLimit, most: maxLimit });
  const { sort, cursor } = query;
  if (sort === undefined) {
    const { found, cursor: next } = await pageOf(entryStores, filter, limit, cursor ?? null);
    return { entries: await describeEntries(found, services, now), cursor: next };
  }
  if (cursor !== undefined) {
    throw new AdminError(400, '"cursor" cannot be combined with "sort"');
  }
  const score = scores.get(sort);
  if (score === undefined) {
    throw new AdminError(400, `"sort" must be one of ${[...scores.keys()].join(', ')}`);
  }
  const { found, complete } = await topOf(entryStores, filter, limit, (entry) =>
    score(entry, services.prices),
  );
  return { entries: await describeEntries(found, services, now), cursor: null, complete };
}

/** Answers `GET /llm-cache/entries/:key`. */
export async function showEntry(
  req: AdminRequest,
  services: EntryServices,
  now: number,
): Promise<object> {
  readQuery(req, []);
  for (const key of keysIn(req)) {
    const entry = await entryUnder(key, services, now);
    if (entry !== null) return entry;
  }
  throw new AdminError(404, 'no entry has this key');
}

/** Returns all details of the entry under a key; null if there is none. */
export async function entryUnder(
  key: string,
  services: EntryServices,
  now: number,
): Promise<object | null> {
  for (const [name, store] of services.entryStores) {
    const found = await store.look(key);
    if (found === undefined) continue;
    const { headers, usage, responseId, freshUntil } = found.head;
    const more = { responseId, usage, headers, freshUntil: new Date(freshUntil).toISOString() };
    const [entry] = await describeEntries([[name, found]], services, now);
    return { ...entry, ...more };
  }
  return null;
}

/** Answers `DELETE /llm-cache/entries/:key`. */
export async function deleteEntry(
  req: AdminRequest,
  { entryStores }: EntryServices,
): Promise<object> {
  const isDry = readFlag('dry_run', readQuery(req, ['dry_run']).dry_run);
  for (const key of keysIn(req)) {
    let matched = 0;
    for (const [, store] of entryStores) {
      const exists = isDry ? (await store.look(key)) !== undefined : await store.delete(key);
      if (exists) matched++;
    }
    if (matched > 0) return { matched, deleted: isDry ? 0 : matched };
  }
  throw new AdminError(404, 'no entry has this key');
}

/** Answers `DELETE /llm-cache/entries`. */
export async function purgeEntries(req: AdminRequest, services: EntryServices): Promise<object> {
  const query = readQuery(req, [...filterNames, 'store', 'all', 'dry_run']);
  const isDry = readFlag('dry_run', query.dry_run);
  const entryStores = storesNamed(services.entryStores, query.store);
  const isForAll = readFlag('all', query.all);
  if (filterNames.every((name) => query[name] === undefined) && !isForAll) {
    throw new AdminError(
      400,
      `say which entries: one of ${filterNames.join(', ')}, or all=1 for every entry`,
    );
  }
  const filter = await readFilter(query, services);
  let matched = 0;
  for (const [, store] of entryStores) matched += await store.purge(filter, isDry);
  return { matched, deleted: isDry ? 0 : matched };
}

/**
 * Resolves a consumer's id or name to its id. Throws an AdminError if no consumer matches, or
 * several do.
 */
export function resolveConsumer(
  text: string,
  { consumers, ledger, entryStores }: ConsumerServices,
): Promise<string> {
  return consumers.idOf(text, async () => {
    const { rows } = await ledger.query({ groupBy: ['consumer_id'] });
    if (rows.some((row) => row.consumer_id === text)) return true;
    return hasAny(entryStores, { consumer: text });
  });
}

/** Parses `limit=`. Throws an AdminError if it is out of range. */
export function readLimit(
  text: string | undefined,
  { fallback, most }: { readonly fallback: number; readonly most: number },
): number {
  if (text === undefined) return fallback;
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > most) {
    throw new AdminError(400, `"limit" must be a whole number from 1 to ${most}`);
  }
  return limit;
}

/** Returns the store with that name, or all stores without a name. Throws an AdminError if unknown. */
export function storesNamed(entryStores: EntryStores, name: string | undefined): EntryStores {
  if (name === undefined) return entryStores;
  const found = entryStores.filter(([one]) => one === name);
  if (found.length > 0) return found;
  const names = entryStores.map(([one]) => one).join(', ');
  throw new AdminError(400, `"store" must be one of ${names}`);
}

/** Parses the filter parameters, and resolves the consumer to its id. Throws an AdminError. */
export async function readFilter(
  query: Readonly<Record<string, string | undefined>>,
  services: EntryServices,
): Promise<EntryFilter> {
  const filter: Record<string, string> = {};
  for (const name of filterNames) {
    const value = query[name];
    if (value === '') throw new AdminError(400, `"${name}" is empty`);
    if (value === undefined) continue;
    filter[name] = name === 'consumer' ? await resolveConsumer(value, services) : value;
  }
  return filter;
}

/** Returns the key both decoded and as sent, since a key may itself contain a percent sign. */
function keysIn(req: AdminRequest): ReadonlySet<string> {
  const raw = req.originalUrl.split('?')[0]?.split('/').at(-1) ?? '';
  return new Set([req.params['key'] ?? '', raw]);
}

function describeEntries(
  found: readonly LocatedEntry[],
  { consumers, prices }: EntryServices,
  now: number,
): Promise<object[]> {
  return consumers.named(
    found.map(([store, { key, head, bytes, hits }]) => {
      const cost = answerCost(head, prices);
      return {
        key,
        store,
        namespace: head.namespace,
        protocol: head.protocol,
        model: head.model,
        requestedModel: head.requestedModel,
        consumer: head.consumer,
        stream: head.stream,
        parts: partNames(head.fingerprint),
        tokens: head.usage?.totalTokens ?? null,
        cost,
        saved: cost === null ? null : cost * hits,
        bytes,
        storedAt: new Date(head.storedAt).toISOString(),
        age: Math.max(0, Math.floor((now - head.storedAt) / 1000)),
        ttl: Math.floor((head.freshUntil - now) / 1000),
        hits,
      };
    }),
  );
}
