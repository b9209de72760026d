export interface QueueBounds {
  readonly maxBytes: number;
  /** Default: no bound but `maxBytes`. */
  readonly maxRecords?: number;
}

/** A queue of records, oldest first, bounded in bytes and in number. */
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

  /** Returns false if the record does not fit. */
  push(record: Buffer): boolean {
    const { maxBytes, maxRecords = Infinity } = this.#bounds;
    if (this.#records.length >= maxRecords || this.#bytes + record.length > maxBytes) return false;
    this.#records.push(record);
    this.#bytes += record.length;
    return true;
  }

  /** Returns the oldest records until they reach `bytes` or `count`, without removing them. */
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

  /**
   * Removes the oldest records that fit whole into `bytes`. Returns their number and the remaining
   * bytes.
   */
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

  /** Removes the oldest `count` records. */
  remove(count: number): void {
    for (const { length } of this.#records.splice(0, count)) this.#bytes -= length;
  }
}
