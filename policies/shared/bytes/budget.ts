/** An account of the bytes that are held in memory. */
export interface ByteAccount {
  /** Reserves `bytes` and returns true, or reserves nothing and returns false. */
  take(bytes: number): boolean;
  /** Returns `bytes` that were taken. */
  give(bytes: number): void;
}

/** A shared bound on the bytes that are held at once. */
export class ByteBudget implements ByteAccount {
  /** In bytes; may change while bytes are held. */
  max: number;
  #held = 0;
  /** The bytes that each client holds; only clients that hold some are listed. */
  readonly #byClient = new Map<unknown, number>();

  constructor(max: number) {
    this.max = max;
  }

  get held(): number {
    return this.#held;
  }

  heldBy(client: unknown): number {
    return this.#byClient.get(client) ?? 0;
  }

  take(bytes: number): boolean {
    if (this.#held + bytes > this.max) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }

  /** Adds `bytes`, which may be negative, to what `client` holds. */
  adjust(client: unknown, bytes: number): void {
    const held = this.heldBy(client) + bytes;
    if (held === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, held);
  }
}

/** One byte in this many is reserved for reading usage. */
const reserveDivisor = 8;

/** Divides `max` bytes into a budget for bodies and one for answers that are read only for their usage. */
export function budgetsOf(max: number): {
  readonly bodies: ByteBudget;
  readonly reserve: ByteBudget;
} {
  const reserved = Math.floor(max / reserveDivisor);
  return { bodies: new ByteBudget(max - reserved), reserve: new ByteBudget(reserved) };
}

/** One client may hold this many times the bytes that are still free. */
const shareOfFree = 2;

/**
 * Takes bytes from a budget for one client, which has several names: its connection, its consumer.
 * No name may hold more than twice the bytes that it leaves free. So one client gets at most two
 * thirds of the budget, and small bodies have room however many clients take all they can get (the
 * dynamic thresholds of shared packet buffers: Choudhury and Hahne, 1998).
 */
export class ClientAccount implements ByteAccount {
  readonly #budget: ByteBudget;
  readonly #clients: readonly unknown[];

  constructor(budget: ByteBudget, clients: readonly unknown[]) {
    this.#budget = budget;
    this.#clients = clients;
  }

  /** Whether `take(bytes)` would succeed now. */
  hasRoom(bytes: number): boolean {
    const { max, held } = this.#budget;
    const most = shareOfFree * (max - held - bytes) - bytes;
    return most >= 0 && this.#clients.every((client) => this.#budget.heldBy(client) <= most);
  }

  take(bytes: number): boolean {
    if (!this.hasRoom(bytes) || !this.#budget.take(bytes)) return false;
    for (const client of this.#clients) this.#budget.adjust(client, bytes);
    return true;
  }

  give(bytes: number): void {
    this.#budget.give(bytes);
    for (const client of this.#clients) this.#budget.adjust(client, -bytes);
  }
}
