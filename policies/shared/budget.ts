/** A bound on the bytes that are held at once, shared by all who hold some. */
export class ByteBudget {
  /** In bytes; may change while bytes are held. */
  max: number;
  #held = 0;

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  /** Takes `bytes` and says true, or takes nothing and says false. */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.max) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}
