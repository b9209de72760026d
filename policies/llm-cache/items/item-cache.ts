import type { LlmCacheSettings } from '../../../schemas/llm-cache.ts';
import { digestHeaders } from '../header-names.ts';
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

/** The stored answers to a request's inputs: all of them merged into one entry, or some. */
export type FoundItems =
  | { readonly kind: 'whole'; readonly entry: CachedResponse }
  | { readonly kind: 'part'; readonly call: PartialCall }
  /** The client's byte account has no room for the stored answers. */
  | { readonly kind: 'no-room' };

/** Request headers that cover the body, and so rule out a changed one: digests, RFC 9421, AWS. */
const integrityHeaders = [...digestHeaders, 'signature', 'x-amz-content-sha256'];

/** The assumed ratio of a new item's size to the mean size of the stored ones, at most. */
const sizeMargin = 1.5;
/** The assumed size of an item if none is stored: a vector of 3,072 numbers. */
const defaultItemBytes = 64 * 1024;

/** Requests for several embeddings, answered input by input. */
export class ItemCache {
  readonly #parts: ItemCacheParts;

  constructor(parts: ItemCacheParts) {
    this.#parts = parts;
  }

  /** Returns whether the request may be answered by item. Not if its headers sign or digest its body. */
  serves({ request }: Lookup): boolean {
    if (!this.#parts.settings.perItem || request.protocol.items === undefined) return false;
    return !integrityHeaders.some((name) => request.header(name) !== undefined);
  }

  /** Reads the inputs of a request; null if it has no list of them. */
  read(lookup: Lookup): Promise<Items | null> {
    return readItems(lookup, this.#parts.settings.maxRequestBytes, this.#parts);
  }

  /** Looks up the inputs. Null if the request should be forwarded unchanged. */
  async find(lookup: Lookup, items: Items): Promise<FoundItems | null> {
    const { store, now, settings } = this.#parts;
    const { controls } = lookup;
    // A larger upstream answer could not be read completely, and so not be merged.
    const maxBytes = settings.maxResponseBytes;
    const stored = await findItems(items, { store, controls, now: now(), maxBytes });
    if (stored === null) return null;
    const isWhole = items.asked.every(({ key }) => stored.has(key));
    const isSmaller = stored.size > 0 || new Set(items.asked).size < items.asked.length;
    if (!isSmaller) return null;
    const bytes = this.#estimateBytes(items, stored);
    if (bytes > maxBytes) return null;
    if (!this.#charge(lookup, bytes)) return stored.size === 0 ? null : { kind: 'no-room' };
    for (const item of new Set(items.asked)) {
      const found = stored.get(item.key);
      if (found !== undefined) store.used(item.key, found.entry);
    }
    if (isWhole) return { kind: 'whole', entry: wholeEntry(items, stored) };
    return { kind: 'part', call: new PartialCall(items, stored) };
  }

  /** Estimates the size of the complete answer, in bytes. */
  #estimateBytes({ asked }: Items, stored: StoredItems): number {
    const sizes = asked.map(({ key }) => stored.get(key)?.entry.body.length ?? 0);
    const known = sizes.reduce((sum, size) => sum + size, 0);
    const count = sizes.filter((size) => size > 0).length;
    const itemBytes = count === 0 ? defaultItemBytes : (known / count) * sizeMargin;
    return Math.ceil(itemBytes * asked.length);
  }

  /** Charges twice the answer's size until the exchange is over: for its parts and for the merged body. */
  #charge({ request }: Lookup, bytes: number): boolean {
    const { account } = request;
    const total = bytes * 2;
    if (!account.take(total)) return false;
    request.whenOver(() => account.give(total));
    return true;
  }
}
