/** A part of a table's keys: their count, then the hash and the entry number of each. */
export type Bucket = Uint32Array;

/** Holds a table's buckets by their numbers. */
export interface Buckets {
  find(number: number): Bucket | undefined;
  put(number: number, bucket: Bucket): void;
  remove(number: number): void;
  clear(): void;
}

/** There is one bucket per this many bytes of the store. With entries of 2 KiB it holds some fifty keys. */
const bytesPerBucket = 128 * 1024;
/** V8 objects cannot hold many more properties. */
const maxBuckets = 2 ** 16;
const minKeys = 4;
const growth = 1.5;

/**
 * Finds the number of an entry by the hash of its key. The table does not hold the keys themselves:
 * a million of them would take more memory than all other data about their entries.
 */
export class KeyTable {
  readonly #buckets: Buckets;
  readonly #maxBuckets: number;
  readonly #keyOf: (entry: number) => string;
  #bucketCount = 0;

  /** `maxBytes` is the bound of the store. `keyOf` returns the key of an entry. */
  constructor(buckets: Buckets, maxBytes: number, keyOf: (entry: number) => string) {
    this.#buckets = buckets;
    this.#maxBuckets = Math.max(1, Math.min(maxBuckets, Math.round(maxBytes / bytesPerBucket)));
    this.#keyOf = keyOf;
  }

  /** What each key takes, in bytes. */
  static readonly bytesEach = 8 * growth;
  /** What each bucket takes in addition: its count, its minimum places, the array object and its place in `Buckets`. */
  static readonly bytesOfBucket = 4 + 8 * minKeys + 300;

  /** What the buckets take in addition to their keys, in bytes. */
  get bytes(): number {
    return this.#bucketCount * KeyTable.bytesOfBucket;
  }

  find(key: string, hash: number): number | undefined {
    const bucket = this.#buckets.find(hash % this.#maxBuckets);
    if (bucket === undefined) return undefined;
    const end = endOf(bucket);
    for (let at = 1; at < end; at += 2) {
      const entry = bucket[at + 1] ?? 0;
      if (bucket[at] === hash && this.#keyOf(entry) === key) return entry;
    }
    return undefined;
  }

  /** Adds an entry. The table must not contain its key yet. */
  add(hash: number, entry: number): void {
    const bucket = this.#withRoom(hash % this.#maxBuckets);
    const end = endOf(bucket);
    bucket[end] = hash;
    bucket[end + 1] = entry;
    bucket[0] = (bucket[0] ?? 0) + 1;
  }

  remove(hash: number, entry: number): void {
    const number = hash % this.#maxBuckets;
    const bucket = this.#buckets.find(number);
    if (bucket === undefined) return;
    const last = endOf(bucket) - 2;
    let at = 1;
    while (bucket[at + 1] !== entry || bucket[at] !== hash) {
      at += 2;
      if (at > last) return;
    }
    // Move the last key into the gap.
    bucket.copyWithin(at, last, last + 2);
    bucket[0] = (bucket[0] ?? 1) - 1;
    if (last === 1) {
      this.#buckets.remove(number);
      this.#bucketCount--;
    } else if (last * 4 < bucket.length) this.#resize(number, bucket, capacityOf(bucket) / 2);
  }

  clear(): void {
    this.#buckets.clear();
    this.#bucketCount = 0;
  }

  #withRoom(number: number): Bucket {
    const bucket = this.#buckets.find(number);
    if (bucket === undefined) return this.#resize(number, null, minKeys);
    if (endOf(bucket) < bucket.length) return bucket;
    return this.#resize(number, bucket, capacityOf(bucket) * growth);
  }

  #resize(number: number, bucket: Bucket | null, keys: number): Bucket {
    const resized = new Uint32Array(1 + 2 * Math.max(minKeys, Math.ceil(keys)));
    if (bucket === null) this.#bucketCount++;
    else resized.set(bucket.subarray(0, endOf(bucket)));
    this.#buckets.put(number, resized);
    return resized;
  }
}

/** The index after the last key. */
function endOf(bucket: Bucket): number {
  return 1 + 2 * (bucket[0] ?? 0);
}

/** How many keys the bucket has room for. */
function capacityOf(bucket: Bucket): number {
  return (bucket.length - 1) / 2;
}
