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

/** What there is to go through. */
export interface Contents {
  /** Looked up at each step: a store that is closed meanwhile begins anew. */
  slots(): Slots;
  isLive(slot: number): boolean;
  drop(slot: number): void;
}

/** How many entries a purge or a listing looks at before it lets others run. */
const lookStep = 1000;
/** How many a page looks at before it is content with what it has found. */
const maxLookedAt = 40_000;

export interface PurgeRequest {
  readonly filter: EntryFilter;
  /** Count only. */
  readonly dryRun: boolean;
  /** Keys that begin with something else are spared; where it is empty, keys with a space, which are other stores'. */
  readonly begin: string;
}

/** Drops all entries that match; how many there were. */
export async function purge(contents: Contents, asked: PurgeRequest): Promise<number> {
  const { filter, dryRun, begin } = asked;
  let purged = 0;
  for (let slot = 0; slot < contents.slots().end; slot++) {
    if (slot % lookStep === lookStep - 1) await nextTurn();
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !isUnder(slots.keyOf(slot), begin)) continue;
    if (contents.isLive(slot)) purged++;
    if (!dryRun) contents.drop(slot);
  }
  return purged;
}

/** A page of the entries that match, in the order of their slots. */
export async function list(
  contents: Contents,
  filter: EntryFilter,
  { limit, cursor }: PageRequest,
): Promise<Page> {
  // A client that asks for page after page lets others run between them.
  await nextTurn();
  const entries: ListedEntry[] = [];
  const from = cursor === null ? 0 : readCursor(cursor);
  for (let slot = from; slot < contents.slots().end; slot++) {
    const looked = slot - from;
    if (looked % lookStep === lookStep - 1) await nextTurn();
    if (looked >= maxLookedAt) return { entries, cursor: cursorAt(slot) };
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !contents.isLive(slot)) continue;
    if (!isUnder(slots.keyOf(slot), '')) continue;
    // One more than is asked for tells that there is another page.
    if (entries.length === limit) return { entries, cursor: cursorAt(slot) };
    const listed = slots.listed(slot);
    if (listed !== undefined) entries.push(listed);
  }
  return { entries, cursor: null };
}

/** All that match, with their bodies, in the order of their slots. */
export async function* everyEntry(
  contents: Contents,
  filter: EntryFilter,
): AsyncGenerator<StoredEntry, void> {
  for (let slot = 0; slot < contents.slots().end; slot++) {
    if (slot % lookStep === lookStep - 1) await nextTurn();
    const slots = contents.slots();
    if (!slots.matches(slot, filter) || !contents.isLive(slot)) continue;
    const key = slots.keyOf(slot);
    const entry = isUnder(key, '') ? slots.entry(slot) : undefined;
    if (entry !== undefined) yield { key, entry };
  }
}

function isUnder(key: string, begin: string): boolean {
  return begin === '' ? !key.includes(' ') : key.startsWith(begin);
}

function cursorAt(slot: number): string {
  return `s${slot}`;
}

function readCursor(cursor: string): number {
  const [, slot] = /^s(\d{1,10})$/.exec(cursor) ?? [];
  if (slot === undefined) throw new UnknownCursor();
  return Number(slot);
}
