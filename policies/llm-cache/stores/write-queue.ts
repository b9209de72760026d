/** A write that waits under a name. */
export interface QueuedWrite {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** The time of the request, by `performance.now()`. */
  readonly askedAt?: number;
}

/** The bound on the bytes of all queued writes. Further writes are dropped. */
export const maxQueuedBytes = 32 * 1024 * 1024;

// Few writes run at once, so that reads do not queue behind megabytes, and no write uses up another's deadline.
const maxConcurrent = 16;
const maxConcurrentBytes = 1024 * 1024;

/** Writes in the background, in order, bounded in bytes. Failed writes are not retried. */
export class WriteQueue {
  readonly #write: (write: QueuedWrite) => Promise<unknown>;
  /** In order of arrival, and only the newest under each name. */
  readonly #waiting = new Map<string, QueuedWrite>();
  readonly #underWay = new Map<string, QueuedWrite>();
  #waitingBytes = 0;
  #underWayBytes = 0;
  #idle: (() => void)[] = [];
  #ends: (() => void)[] = [];
  #dropped = 0;
  #failed = 0;

  /** `write` must reject if the write fails. */
  constructor(write: (write: QueuedWrite) => Promise<unknown>) {
    this.#write = write;
  }

  /** Writes that were dropped for lack of room, or failed. */
  get dropped(): number {
    return this.#dropped + this.#failed;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Queues a write, replacing a waiting one under its name. Returns false if there is no room. */
  push(write: QueuedWrite): boolean {
    this.#take(write.name);
    if (this.#waitingBytes + this.#underWayBytes + write.bytes.length > maxQueuedBytes) {
      this.#dropped++;
      return false;
    }
    this.#waiting.set(write.name, write);
    this.#waitingBytes += write.bytes.length;
    this.#pump();
    return true;
  }

  /** Returns the newest write under the name that is waiting or under way. */
  find(name: string): QueuedWrite | undefined {
    return this.#waiting.get(name) ?? this.#underWay.get(name);
  }

  /** Resolves when the queue is empty and no write is under way. */
  async flushed(): Promise<void> {
    if (this.#waiting.size + this.#underWay.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Withdraws the waiting write under the name, if any, and waits for one under way. Resolves to
   * whether a write was withdrawn.
   */
  async withdraw(name: string): Promise<boolean> {
    const taken = this.#take(name);
    while (this.#underWay.has(name)) await this.#nextEnd();
    return taken;
  }

  #take(name: string): boolean {
    const write = this.#waiting.get(name);
    if (write === undefined) return false;
    this.#waiting.delete(name);
    this.#waitingBytes -= write.bytes.length;
    return true;
  }

  #pump(): void {
    for (const [name, write] of this.#waiting) {
      const { length } = write.bytes;
      const isFirst = this.#underWay.size === 0;
      if (this.#underWay.size >= maxConcurrent) return;
      if (!isFirst && this.#underWayBytes + length > maxConcurrentBytes) return;
      // Writes under one name run one after another, so that the newest wins.
      if (this.#underWay.has(name)) continue;
      this.#take(name);
      this.#underWay.set(name, write);
      this.#underWayBytes += length;
      void this.#send(write);
    }
  }

  #nextEnd(): Promise<void> {
    return new Promise((resolve) => this.#ends.push(resolve));
  }

  async #send(write: QueuedWrite): Promise<void> {
    try {
      await this.#write(write);
    } catch {
      this.#failed++;
    }
    this.#underWay.delete(write.name);
    this.#underWayBytes -= write.bytes.length;
    for (const ended of this.#ends.splice(0)) ended();
    this.#pump();
    if (this.#waiting.size + this.#underWay.size > 0) return;
    for (const idle of this.#idle.splice(0)) idle();
  }
}
