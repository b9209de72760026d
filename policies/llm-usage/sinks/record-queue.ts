export interface QueueBounds {
  readonly maxBytes: number;
  /** Default: as many as `maxBytes` holds. */
  readonly maxRecords?: number;
}

/** Records that wait to be handed over, oldest first, bounded in bytes and in number. */
export class RecordQueue {
  readonly #bounds: QueueBounds;
  readonly #records: Buffer[] = [];
  #bytes = 0;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#records.length;
  }

  get isEmpty(): boolean {
    return this.#records.length === 0;
  }

  /** False where the record finds no room. */
  push(record: Buffer): boolean {
    const { maxBytes, maxRecords = Infinity } = this.#bounds;
    if (this.#records.length >= maxRecords || this.#bytes + record.length > maxBytes) return false;
    this.#records.push(record);
    this.#bytes += record.length;
    return true;
  }

  /** The oldest records until they have `bytes`, at least one and at most `count`; they stay in the queue. */
  oldest(bytes: number, count = Infinity): Buffer[] {
    const found: Buffer[] = [];
    let length = 0;
    for (const record of this.#records) {
      if (found.length >= count || length >= bytes) break;
      found.push(record);
      length += record.length;
    }
    return found;
  }

  /** The records that `bytes` cover whole leave the queue; returns how many, and the bytes that are left over. */
  removeBytes(bytes: number): { readonly removed: number; readonly rest: number } {
    let removed = 0;
    let rest = bytes;
    for (const { length } of this.#records) {
      if (rest < length) break;
      rest -= length;
      removed++;
    }
    this.remove(removed);
    return { removed, rest };
  }

  /** The oldest `count` leave the queue. */
  remove(count: number): void {
    for (const { length } of this.#records.splice(0, count)) this.#bytes -= length;
  }
}
