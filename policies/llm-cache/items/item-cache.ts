import type { LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import type { CachedResponse } from '../entry.ts';
import type { KeyMaking } from '../key.ts';
import type { Lookup } from '../lookup.ts';
import type { EntryStore } from '../stores/store.ts';
import { type Items, readItems } from './items.ts';
import { PartialCall } from './partial-call.ts';
import { findItems, type StoredItems, wholeEntry } from './stored-items.ts';

export interface ItemCacheParts extends KeyMaking {
  readonly store: EntryStore;
  readonly settings: LlmCacheSettings;
  readonly now: () => number;
}

/** What is stored of a request by its inputs: all of it, put together to one entry, or a part. */
export type FoundItems =
  | { readonly kind: 'whole'; readonly entry: CachedResponse }
  | { readonly kind: 'part'; readonly call: PartialCall }
  /** There is no room for what is stored. */
  | { readonly kind: 'no-room' };

/** Request headers that are wrong beside another body: RFC 9530, RFC 9421, RFC 1864, AWS. */
const sealing = [
  'content-digest',
  'repr-digest',
  'digest',
  'content-md5',
  'signature',
  'x-amz-content-sha256',
];

/** An answer is as large as those that are stored, or by so much larger. */
const margin = 1.5;
/** What a vector takes of which nothing is known: 3,072 numbers. */
const unknownBytes = 64 * 1024;

/** Requests for several embeddings, answered input by input. */
export class ItemCache {
  readonly #parts: ItemCacheParts;

  constructor(parts: ItemCacheParts) {
    this.#parts = parts;
  }

  /** Whether the request may be answered so: not one that says what the bytes of its body are. */
  serves({ request }: Lookup): boolean {
    if (!this.#parts.settings.perItem || request.protocol.items === undefined) return false;
    return !sealing.some((name) => request.header(name) !== undefined);
  }

  read(lookup: Lookup): Promise<Items | null> {
    return readItems(lookup, this.#parts.settings.maxRequestBytes, this.#parts);
  }

  /** Null where nothing is stored that would make the call smaller. */
  async find(lookup: Lookup, items: Items): Promise<FoundItems | null> {
    const { store, now, settings } = this.#parts;
    const { controls } = lookup;
    // What is larger could not be read whole, to be put together.
    const maxBytes = settings.maxResponseBytes;
    const stored = await findItems(items, { store, controls, now: now(), maxBytes });
    if (stored === null) return null;
    const isWhole = items.asked.every(({ key }) => stored.has(key));
    const isShorter = stored.size > 0 || new Set(items.asked).size < items.asked.length;
    if (!isShorter) return null;
    const bytes = this.#bytesOf(items, stored);
    if (bytes > maxBytes) return null;
    if (!this.#hold(lookup, bytes)) return stored.size === 0 ? null : { kind: 'no-room' };
    for (const item of new Set(items.asked)) {
      const found = stored.get(item.key);
      if (found !== undefined) store.used(item.key, found.entry);
    }
    if (isWhole) return { kind: 'whole', entry: wholeEntry(items, stored) };
    return { kind: 'part', call: new PartialCall(items, stored) };
  }

  /** About as large as the answer will be. */
  #bytesOf({ asked }: Items, stored: StoredItems): number {
    const sizes = asked.map(({ key }) => stored.get(key)?.entry.body.length ?? 0);
    const known = sizes.reduce((sum, size) => sum + size, 0);
    const count = sizes.filter((size) => size > 0).length;
    return Math.ceil((count === 0 ? unknownBytes : (known / count) * margin) * asked.length);
  }

  /** What is stored, what comes, and what is made of them. */
  #hold({ request }: Lookup, bytes: number): boolean {
    const { account } = request;
    const all = bytes * 2;
    if (!account.take(all)) return false;
    request.whenOver(() => account.give(all));
    return true;
  }
}
