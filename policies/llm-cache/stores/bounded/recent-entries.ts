import type { CachedResponse } from '../../entry.ts';

/** One unpacked entry, of about 1,000 bytes, is kept per this many bytes of the store. */
const bytesPerEntry = 2 ** 16;
const maxEntries = 4096;
/** The share of the store that expanded copies of compressed bodies may take. */
const expandedShare = 1 / 8;

interface RecentEntry {
  readonly slot: number;
  readonly entry: CachedResponse;
  /** The bytes of the body that was expanded for it, or 0. */
  readonly expanded: number;
}

/** Recently read entries, unpacked and expanded, so that frequent hits need not read them again. */
export class RecentEntries {
  /** Direct-mapped: the slot modulo the length gives the place, and a newer entry replaces an older. */
  readonly #places: (RecentEntry | undefined)[];
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    const length = Math.min(maxEntries, Math.ceil(maxBytes / bytesPerEntry));
    this.#places = Array.from({ length });
    this.#maxBytes = maxBytes * expandedShare;
  }

  /** The bytes of the expanded bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  find(slot: number): CachedResponse | undefined {
    const recent = this.#places[this.#placeOf(slot)];
    return recent?.slot === slot ? recent.entry : undefined;
  }

  /** Keeps an entry if there is room for its `expanded` bytes. */
  keep(slot: number, entry: CachedResponse, expanded: number): void {
    const place = this.#placeOf(slot);
    const bytes = this.#bytes - (this.#places[place]?.expanded ?? 0) + expanded;
    if (bytes > this.#maxBytes) return;
    this.#bytes = bytes;
    this.#places[place] = { slot, entry, expanded };
  }

  drop(slot: number): void {
    const place = this.#placeOf(slot);
    const recent = this.#places[place];
    if (recent?.slot !== slot) return;
    this.#bytes -= recent.expanded;
    this.#places[place] = undefined;
  }

  #placeOf(slot: number): number {
    return slot % this.#places.length;
  }
}
