import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type Store,
  UnknownCursor,
} from '../llm-cache/stores/store.ts';
import { AdminError } from './http.ts';

/** Every store that has entries of its own, by name. */
export type EntryStores = readonly (readonly [name: string, store: Store])[];

/** An entry, and the name of the store that has it. */
export type Held = readonly [store: string, entry: ListedEntry];

export interface Listing {
  readonly found: readonly Held[];
  readonly cursor: string | null;
}

const pageSize = 500;
/** How long a search of all entries goes on. */
const maxSearchMs = 2000;

/** The stores one after the other; a page may be short at the end of each. */
export async function pageOf(
  entryStores: EntryStores,
  filter: EntryFilter,
  limit: number,
  cursor: string | null,
): Promise<Listing> {
  let { index, inner } = cursor === null ? { index: 0, inner: null } : readCursor(cursor);
  const found: Held[] = [];
  for (; index < entryStores.length; index++, inner = null) {
    const [name, store] = entryStores[index] ?? [];
    if (name === undefined || store === undefined) break;
    if (found.length === limit) {
      // A page that is full is the last one where the stores that follow have nothing.
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

/** Those of all entries with the highest `score`; not `complete` where the search took too long. */
export async function topOf(
  entryStores: EntryStores,
  filter: EntryFilter,
  limit: number,
  score: (entry: ListedEntry) => number,
): Promise<{ readonly found: readonly Held[]; readonly complete: boolean }> {
  let best: { readonly held: Held; readonly score: number }[] = [];
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

/** Whether a store has an entry that matches, as far as a short search finds. */
export async function hasAny(entryStores: EntryStores, filter: EntryFilter): Promise<boolean> {
  let found = false;
  await eachPage(entryStores, filter, (_name, { entries }) => (found = entries.length > 0));
  return found;
}

/** Goes through all pages until `look` says that it is enough; false where the time was up. */
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
