import type { ByteBudget } from './budget.ts';

/** What has a body that many may read at once. */
interface WithBody {
  readonly body: Uint8Array;
}

/**
 * The bodies of stored answers on their way to clients. Each is charged to the budget from its
 * first reader to its last, once however many read it: a store may have let go of it meanwhile.
 */
export class SharedBodies {
  readonly budget: ByteBudget;
  /** By the memory that is held; the owner is kept, so that a later reader finds it. */
  readonly #held = new Map<ArrayBufferLike, { readonly owner: WithBody; readers: number }>();

  constructor(budget: ByteBudget) {
    this.budget = budget;
  }

  /** True when there is room for the body, and `release` is to be called; false when there is none. */
  hold(owner: WithBody): boolean {
    const { body } = owner;
    const held = this.#held.get(body.buffer);
    if (held !== undefined) {
      held.readers++;
      return true;
    }
    if (!this.budget.take(body.length)) return false;
    this.#held.set(body.buffer, { owner, readers: 1 });
    return true;
  }

  /** A reader has all of it, or wants it no more. */
  release({ body }: WithBody): void {
    const held = this.#held.get(body.buffer);
    if (held === undefined || --held.readers > 0) return;
    this.#held.delete(body.buffer);
    this.budget.give(held.owner.body.length);
  }

  /** Charges `bytes` while `read` brings them; null, without having read, where there is no room. */
  async during<T>(bytes: number, read: () => Promise<T>): Promise<T | null> {
    if (!this.budget.take(bytes)) return null;
    try {
      return await read();
    } finally {
      this.budget.give(bytes);
    }
  }
}
