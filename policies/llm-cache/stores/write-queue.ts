/** What waits to be written under a name. */
export interface QueuedWrite {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** When it was asked for, by `performance.now()`. */
  readonly askedAt?: number;
}

/** Bytes that may wait; what comes on top is dropped. */
export const maxQueuedBytes = 32 * 1024 * 1024;

// Few at once, so that reads do not stand behind megabytes and a deadline is one write's own.
const maxAtOnce = 16;
const maxBytesAtOnce = 1024 * 1024;

/** Writes off the path of the requests, in order, bounded in bytes, never tried twice. */
export class WriteQueue {
  readonly #write: (write: QueuedWrite) => Promise<unknown>;
  /** In the order of their coming; under a name only the newest. */
  readonly #waiting = new Map<string, QueuedWrite>();
  readonly #underWay = new Map<string, QueuedWrite>();
  #waitingBytes = 0;
  #underWayBytes = 0;
  #idle: (() => void)[] = [];
  #ends: (() => void)[] = [];
  #dropped = 0;
  #failed = 0;

  /** `write` rejects when it was not written. */
  constructor(write: (write: QueuedWrite) => Promise<unknown>) {
    this.#write = write;
  }

  /** Writes that did not arrive, for want of room or because they failed. */
  get dropped(): number {
    return this.#dropped + this.#failed;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Whether there was room for it. */
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

  /** What is on its way under that name. */
  find(name: string): QueuedWrite | undefined {
    return this.#waiting.get(name) ?? this.#underWay.get(name);
  }

  /** Resolves when nothing is on its way. */
  async flushed(): Promise<void> {
    if (this.#waiting.size + this.#underWay.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Takes back what has not been sent under that name; resolves when what was sent has arrived or failed. */
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
      if (this.#underWay.size >= maxAtOnce) return;
      if (!isFirst && this.#underWayBytes + length > maxBytesAtOnce) return;
      // One after the other under one name, so that the newest stays.
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
