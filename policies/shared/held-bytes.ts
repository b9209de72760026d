import type { ByteBudget } from './budget.ts';

/** The chunks of a body, held by reference and joined once, as long as there is room for them. */
export class HeldBytes {
  readonly #maxBytes: number;
  readonly #budget: ByteBudget;
  #chunks: Uint8Array[] | null = [];
  #size = 0;

  constructor(maxBytes: number, budget: ByteBudget) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
  }

  get chunks(): readonly Uint8Array[] | null {
    return this.#chunks;
  }

  /** Holds `bytes` too, or gives all up and says why. */
  add(bytes: Uint8Array): 'too-large' | 'buffer-limit' | null {
    if (this.#chunks === null) return null;
    const isTooLarge = this.#size + bytes.length > this.#maxBytes;
    if (isTooLarge || !this.#budget.take(bytes.length)) {
      this.forget();
      return isTooLarge ? 'too-large' : 'buffer-limit';
    }
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    return null;
  }

  forget(): void {
    this.#chunks = null;
    this.#budget.give(this.#size);
    this.#size = 0;
  }

  /** All of it in one piece, and no longer held here; null where it was given up. */
  join(): Uint8Array | null {
    const chunks = this.#chunks;
    if (chunks === null) return null;
    // Even a single chunk: it may be a small piece of a large buffer, which would live on with it.
    const joined = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of chunks) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    this.forget();
    return joined;
  }
}
