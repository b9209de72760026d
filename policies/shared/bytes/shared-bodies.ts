import type { ByteBudget } from './budget.ts';

/** An object with a body that several readers may share. */
interface WithBody {
  readonly body: Uint8Array;
}

/**
 * The bodies of stored answers on their way to clients. Each is charged to the budget once, from its
 * first reader to its last, because the store may evict it in the meantime.
 */
export class SharedBodies {
  readonly budget: ByteBudget;
  /** By buffer. The map also retains the owner, so that a later reader finds it. */
  readonly #held = new Map<ArrayBufferLike, { readonly owner: WithBody; readers: number }>();

  constructor(budget: ByteBudget) {
    this.budget = budget;
  }

  /** Returns false if there is no room for the body. If true, the caller must call `release`. */
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

  /** Called when a reader has the whole body or has left. */
  release({ body }: WithBody): void {
    const held = this.#held.get(body.buffer);
    if (held === undefined || --held.readers > 0) return;
    this.#held.delete(body.buffer);
    this.budget.give(held.owner.body.length);
  }

  /** Charges `bytes` while `read` runs. Resolves to null, without calling it, if there is no room. */
  async during<T>(bytes: number, read: () => Promise<T>): Promise<T | null> {
    if (!this.budget.take(bytes)) return null;
    try {
      return await read();
    } finally {
      this.budget.give(bytes);
    }
  }
}
