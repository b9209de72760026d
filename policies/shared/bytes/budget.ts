/** Where bytes that are held are accounted for. */
export interface ByteAccount {
  /** Takes `bytes` and says true, or takes nothing and says false. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A bound on the bytes that are held at once, shared by all who hold some. */
export class ByteBudget implements ByteAccount {
  /** In bytes; may change while bytes are held. */
  max: number;
  #held = 0;
  /** What each client holds; only those that hold something. */
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

  /** Notes that `client` holds so many bytes more, or less. */
  note(client: unknown, bytes: number): void {
    const held = this.heldBy(client) + bytes;
    if (held === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, held);
  }
}

/** The part of all bytes that is the books' alone: an eighth. */
const reservedPart = 8;

/** The budgets that `max` bytes are divided into: for the bodies, and for what only the books read. */
export function budgetsOf(max: number): {
  readonly bodies: ByteBudget;
  readonly reserve: ByteBudget;
} {
  const reserved = Math.floor(max / reservedPart);
  return { bodies: new ByteBudget(max - reserved), reserve: new ByteBudget(reserved) };
}

/** How many times the bytes that are still free one client may hold. */
const share = 2;

/**
 * Takes from a budget in the name of a client, which is known by several things: its connection,
 * its consumer. None of them ever holds more than twice what it leaves free. So one client has two
 * thirds at the most, and however many take all that they can get, small bodies have room (the
 * dynamic thresholds of shared packet buffers: Choudhury and Hahne, 1998).
 */
export class ClientAccount implements ByteAccount {
  readonly #budget: ByteBudget;
  readonly #clients: readonly unknown[];

  constructor(budget: ByteBudget, clients: readonly unknown[]) {
    this.#budget = budget;
    this.#clients = clients;
  }

  /** Whether `bytes` could be taken now. */
  hasRoom(bytes: number): boolean {
    const { max, held } = this.#budget;
    const most = share * (max - held - bytes) - bytes;
    return most >= 0 && this.#clients.every((client) => this.#budget.heldBy(client) <= most);
  }

  take(bytes: number): boolean {
    if (!this.hasRoom(bytes) || !this.#budget.take(bytes)) return false;
    for (const client of this.#clients) this.#budget.note(client, bytes);
    return true;
  }

  give(bytes: number): void {
    this.#budget.give(bytes);
    for (const client of this.#clients) this.#budget.note(client, -bytes);
  }
}
