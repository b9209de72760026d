import type { CachedResponse } from '../../entry.ts';

/** For so many bytes of memory one entry is at hand as it was read last, which takes about a thousand. */
const bytesForOne = 2 ** 16;
const mostEntries = 4096;
/** What bodies that were compressed may take of the memory a second time. */
const expandedShare = 1 / 8;

interface Kept {
  readonly slot: number;
  readonly entry: CachedResponse;
  /** What its body takes beside the one that is stored. */
  readonly expanded: number;
}

/** Entries as they were read last, so that what is asked for often is not read anew each time. */
export class AtHand {
  /** By the remainders of their slots, of which one has the place. */
  readonly #places: (Kept | undefined)[];
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    const length = Math.min(mostEntries, Math.ceil(maxBytes / bytesForOne));
    this.#places = Array.from({ length });
    this.#maxBytes = maxBytes * expandedShare;
  }

  /** What bodies take here that were compressed. */
  get bytes(): number {
    return this.#bytes;
  }

  find(slot: number): CachedResponse | undefined {
    const kept = this.#places[this.#placeOf(slot)];
    return kept?.slot === slot ? kept.entry : undefined;
  }

  /** Keeps an entry, in place of another, where there is room for the body that was `expanded` for it. */
  keep(slot: number, entry: CachedResponse, expanded: number): void {
    const place = this.#placeOf(slot);
    const bytes = this.#bytes - (this.#places[place]?.expanded ?? 0) + expanded;
    if (bytes > this.#maxBytes) return;
    this.#bytes = bytes;
    this.#places[place] = { slot, entry, expanded };
  }

  drop(slot: number): void {
    const place = this.#placeOf(slot);
    const kept = this.#places[place];
    if (kept?.slot !== slot) return;
    this.#bytes -= kept.expanded;
    this.#places[place] = undefined;
  }

  #placeOf(slot: number): number {
    return slot % this.#places.length;
  }
}
