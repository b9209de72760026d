import { nextTurn } from '../../../shared/turns.ts';
import {
  type EntryFilter,
  type ListedEntry,
  type Page,
  type PageRequest,
  type StoredEntry,
  UnknownCursor,
} from '../store.ts';
import type { Slots } from './slots.ts';

/** The entries of a store, as purges and listings read them. */
export interface Contents {
  /** Called anew at each step, because a store that is closed meanwhile replaces its slots. */
  slots(): Slots;
  isLive(slot: number): boolean;
  drop(slot: number): void;
}

/** After this many slots a purge or a listing yields to the event loop. */
const slotsPerTurn = 1000;
/** After this many slots a page ends, even if it is not full. */
const slotsPerPage = 40_000;

export interface PurgeRequest {
  readonly filter: EntryFilter;
  /** Whether matching entries are only counted. */
  readonly dryRun: boolean;
  /** Only keys with this prefix are purged. If it is empty, keys with a space are spared: they belong to other stores. */
  readonly prefix: string;
}

/** Drops all entries that match, and returns how many of them had not expired. */
export async function purge(contents: Contents, request: PurgeRequest): Promise<number> {
  const { filter, dryRun, prefix } = request;
  let purged = 0;
  for (let slot = 0; slot < contents.slots().end; slot++) {
    if (slot % slotsPerTurn === slotsPerTurn - 1) await nextTurn();
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !isInScope(slots.keyOf(slot), prefix)) continue;
    if (contents.isLive(slot)) purged++;
    if (!dryRun) contents.drop(slot);
  }
  return purged;
}

/** Returns a page of the entries that match, in the order of their slots. */
export async function list(
  contents: Contents,
  filter: EntryFilter,
  { limit, cursor }: PageRequest,
): Promise<Page> {
  // Yield between pages too, for a client that requests one after another.
  await nextTurn();
  const entries: ListedEntry[] = [];
  const from = cursor === null ? 0 : readCursor(cursor);
  for (let slot = from; slot < contents.slots().end; slot++) {
    const visited = slot - from;
    if (visited % slotsPerTurn === slotsPerTurn - 1) await nextTurn();
    if (visited >= slotsPerPage) return { entries, cursor: cursorAt(slot) };
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !contents.isLive(slot)) continue;
    if (!isInScope(slots.keyOf(slot), '')) continue;
    // One match more than the limit shows that another page follows.
    if (entries.length === limit) return { entries, cursor: cursorAt(slot) };
    const listed = slots.listed(slot);
    if (listed !== undefined) entries.push(listed);
  }
  return { entries, cursor: null };
}

/** Yields all entries that match, with their bodies, in the order of their slots. */
export async function* everyEntry(
  contents: Contents,
  filter: EntryFilter,
): AsyncGenerator<StoredEntry, void> {
  for (let slot = 0; slot < contents.slots().end; slot++) {
    if (slot % slotsPerTurn === slotsPerTurn - 1) await nextTurn();
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !contents.isLive(slot)) continue;
    const key = slots.keyOf(slot);
    const entry = isInScope(key, '') ? slots.entry(slot) : undefined;
    if (entry !== undefined) yield { key, entry };
  }
}

function isInScope(key: string, prefix: string): boolean {
  return prefix === '' ? !key.includes(' ') : key.startsWith(prefix);
}

/** Returns a cursor for a page that begins with the slot. */
function cursorAt(slot: number): string {
  return `s${slot}`;
}

function readCursor(cursor: string): number {
  const [, slot] = /^s(\d{1,10})$/.exec(cursor) ?? [];
  if (slot === undefined) throw new UnknownCursor();
  return Number(slot);
}
