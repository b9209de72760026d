import type { ByteAccount } from './budget.ts';
import { type SlabReader, Slabs } from './slabs.ts';

export interface HoldingOptions {
  readonly maxBytes: number;
  readonly account: ByteAccount;
  /** Where there is room when `account` has none, for what must be read and is not kept; null for none. */
  readonly reserve: ByteAccount | null;
}

/** The bytes of an answer, held as long as there is room for them and joined once. */
export class HeldBytes {
  readonly #maxBytes: number;
  readonly #slabs: Slabs;
  /** As long as the reserve was not needed. */
  #reserve: ByteAccount | null;
  #isOverdrawn = false;

  constructor({ maxBytes, account, reserve }: HoldingOptions) {
    this.#maxBytes = maxBytes;
    this.#slabs = new Slabs(account);
    this.#reserve = reserve;
  }

  /** Whether it is held from its first byte on. */
  get isWhole(): boolean {
    return this.#slabs.isKept;
  }

  /** Whether readers that are behind hold more than there is room for. */
  get isOverdrawn(): boolean {
    return this.#isOverdrawn;
  }

  /**
   * Holds `bytes` too, or says what there is no room for: `buffer-limit` once where they went to the
   * reserve, else it is given up.
   */
  add(bytes: Uint8Array): 'too-large' | 'buffer-limit' | null {
    this.#isOverdrawn = false;
    if (!this.#slabs.isKept) {
      this.#pass(bytes);
      return null;
    }
    if (this.#slabs.size + bytes.length > this.#maxBytes) return this.#giveUp('too-large', bytes);
    if (this.#slabs.add(bytes)) return null;
    const reserve = this.#reserve;
    this.#reserve = null;
    if (reserve !== null && this.#slabs.move(reserve) && this.#slabs.add(bytes)) {
      return 'buffer-limit';
    }
    return this.#giveUp('buffer-limit', bytes);
  }

  /** A reader of all that is held, and of what comes. */
  reader(): SlabReader {
    return this.#slabs.reader();
  }

  forget(): void {
    this.#slabs.release();
  }

  /** All of it in one piece, and no longer held here; null where it was given up. */
  join(): Uint8Array | null {
    if (!this.#slabs.isKept) return null;
    const joined = this.#slabs.join();
    this.forget();
    return joined;
  }

  #giveUp<R>(reason: R, bytes: Uint8Array): R {
    this.forget();
    this.#pass(bytes);
    return reason;
  }

  /** For those who read along alone. */
  #pass(bytes: Uint8Array): void {
    if (this.#slabs.add(bytes)) return;
    this.#isOverdrawn = true;
    this.#slabs.force(bytes);
  }
}
