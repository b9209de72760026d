import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type Store,
  UnknownCursor,
} from '../llm-cache/stores/store.ts';
import { AdminError } from './http.ts';

/** All stores with entries of their own, with their names. */
export type EntryStores = readonly (readonly [name: string, store: Store])[];

/** An entry and the name of its store. */
export type LocatedEntry = readonly [store: string, entry: ListedEntry];

export interface Listing {
  readonly found: readonly LocatedEntry[];
  readonly cursor: string | null;
}

const pageSize = 500;
/** The time limit of a search through all entries. */
const maxSearchMs = 2000;

/** Returns one page, going through the stores in order. A page may be short at the end of a store. */
export async function pageOf(
  entryStores: EntryStores,
  filter: EntryFilter,
  limit: number,
  cursor: string | null,
): Promise<Listing> {
  let { index, inner } = cursor === null ? { index: 0, inner: null } : readCursor(cursor);
  const found: LocatedEntry[] = [];
  for (; index < entryStores.length; index++, inner = null) {
    const [name, store] = entryStores[index] ?? [];
    if (name === undefined || store === undefined) break;
    if (found.length === limit) {
      // The page is full. It is the last one if the remaining stores have no match.
      const { entries: more, cursor: further } = await store.list(filter, {
        limit: 1,
        cursor: null,
      });
      if (more.length === 0 && further === null) continue;
      return { found, cursor: writeCursor(index, null) };
    }
    const page: Page = await listOrRefuse(store, filter, limit - found.length, inner);
    found.push(...page.entries.map((entry) => [name, entry] as const));
    if (page.cursor !== null) return { found, cursor: writeCursor(index, page.cursor) };
  }
  return { found, cursor: null };
}

/** Returns the entries with the highest `score`. Not `complete` if the search hit its time limit. */
export async function topOf(
  entryStores: EntryStores,
  filter: EntryFilter,
  limit: number,
  score: (entry: ListedEntry) => number,
): Promise<{ readonly found: readonly LocatedEntry[]; readonly complete: boolean }> {
  let best: { readonly held: LocatedEntry; readonly score: number }[] = [];
  const complete = await eachPage(entryStores, filter, (name, page) => {
    const scored = page.entries.map((entry) => ({
      held: [name, entry] as const,
      score: score(entry),
    }));
    best = [...best, ...scored].toSorted((one, other) => other.score - one.score).slice(0, limit);
    return false;
  });
  return { found: best.map(({ held }) => held), complete };
}

/** Whether a time-limited search finds a matching entry. */
export async function hasAny(entryStores: EntryStores, filter: EntryFilter): Promise<boolean> {
  let found = false;
  await eachPage(entryStores, filter, (_name, { entries }) => (found = entries.length > 0));
  return found;
}

/** Visits all pages until `look` returns true. Resolves to false if the time limit was reached. */
async function eachPage(
  entryStores: EntryStores,
  filter: EntryFilter,
  look: (store: string, page: Page) => boolean,
): Promise<boolean> {
  const until = performance.now() + maxSearchMs;
  for (const [name, store] of entryStores) {
    for (let cursor: string | null = null, isFirst = true; isFirst || cursor !== null;) {
      if (performance.now() > until) return false;
      const page: Page = await store.list(filter, { limit: pageSize, cursor });
      if (look(name, page)) return true;
      ({ cursor } = page);
      isFirst = false;
    }
  }
  return true;
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

/** Encodes the store's index and its own cursor; opaque to the client. */
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
    // Not a cursor of ours either.
  }
  throw unknownCursor();
}

function unknownCursor(): AdminError {
  return new AdminError(400, '"cursor" is not one that an earlier page returned');
}
