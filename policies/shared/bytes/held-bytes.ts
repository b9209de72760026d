import type { ByteAccount } from './budget.ts';
import { type SlabReader, Slabs } from './slabs.ts';

export interface HoldingOptions {
  /** The largest body to hold, in bytes. */
  readonly maxBytes: number;
  readonly account: ByteAccount;
  /** A second account, for a body that must be parsed although `account` has no room; null for none. */
  readonly reserve: ByteAccount | null;
}

/** Holds the bytes of an answer while there is room for them, and joins them once. */
export class HeldBytes {
  readonly #maxBytes: number;
  readonly #slabs: Slabs;
  /** Null once it is in use. */
  #reserve: ByteAccount | null;
  #isOverdrawn = false;

  constructor({ maxBytes, account, reserve }: HoldingOptions) {
    this.#maxBytes = maxBytes;
    this.#slabs = new Slabs(account);
    this.#reserve = reserve;
  }

  /** Whether all bytes are held, from the first on. */
  get isWhole(): boolean {
    return this.#slabs.isKept;
  }

  /** Whether slow readers hold more bytes than there is room for. */
  get isOverdrawn(): boolean {
    return this.#isOverdrawn;
  }

  /**
   * Holds `bytes` too, or returns why not. After a reason nothing is held any more, except that
   * `buffer-limit` may also mean that all bytes have moved to the reserve.
   */
  add(bytes: Uint8Array): 'too-large' | 'buffer-limit' | null {
    this.#isOverdrawn = false;
    if (!this.#slabs.isKept) {
      this.#passOn(bytes);
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

  /** Returns a reader of the bytes that are held and of those to come. */
  reader(): SlabReader {
    return this.#slabs.reader();
  }

  forget(): void {
    this.#slabs.release();
  }

  /** Returns all bytes in one piece and holds them no more; null if they were dropped. */
  join(): Uint8Array | null {
    if (!this.#slabs.isKept) return null;
    const joined = this.#slabs.join();
    this.forget();
    return joined;
  }

  #giveUp<R>(reason: R, bytes: Uint8Array): R {
    this.forget();
    this.#passOn(bytes);
    return reason;
  }

  /** Passes bytes that are not held to the readers. */
  #passOn(bytes: Uint8Array): void {
    if (this.#slabs.add(bytes)) return;
    this.#isOverdrawn = true;
    this.#slabs.force(bytes);
  }
}
