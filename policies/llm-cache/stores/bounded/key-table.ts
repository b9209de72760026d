/** Some keys of a table: how many, then the hash and the entry of each. */
export type Bucket = Uint32Array;

/** Where a table's buckets are, each by its number. */
export interface Buckets {
  find(number: number): Bucket | undefined;
  put(number: number, bucket: Bucket): void;
  remove(number: number): void;
  clear(): void;
}

/** For so many bytes of memory there is one bucket: of entries of 2 KiB it has some fifty. */
const bytesForOne = 128 * 1024;
/** More would not fit into what a thing of V8's may have. */
const mostBuckets = 2 ** 16;
const fewestKeys = 4;
const growth = 1.5;

/**
 * Finds the number of an entry by the hash of its key. Keys themselves are not in it: a million of
 * them would cost more than all else that is known of their entries.
 */
export class KeyTable {
  readonly #buckets: Buckets;
  readonly #count: number;
  readonly #keyOf: (entry: number) => string;
  #inUse = 0;

  /** Of a store that may take so many bytes; `keyOf` is the key of an entry. */
  constructor(buckets: Buckets, maxBytes: number, keyOf: (entry: number) => string) {
    this.#buckets = buckets;
    this.#count = Math.max(1, Math.min(mostBuckets, Math.round(maxBytes / bytesForOne)));
    this.#keyOf = keyOf;
  }

  /** What a key takes. */
  static readonly bytesEach = 8 * growth;
  /** What a bucket takes beside: its first places, an array with its memory, and where that is found. */
  static readonly bytesOfBucket = 4 + 8 * fewestKeys + 300;

  /** What it takes beside what each key does, in bytes. */
  get bytes(): number {
    return this.#inUse * KeyTable.bytesOfBucket;
  }

  find(key: string, hash: number): number | undefined {
    const bucket = this.#buckets.find(hash % this.#count);
    if (bucket === undefined) return undefined;
    const end = endOf(bucket);
    for (let at = 1; at < end; at += 2) {
      const entry = bucket[at + 1] ?? 0;
      if (bucket[at] === hash && this.#keyOf(entry) === key) return entry;
    }
    return undefined;
  }

  /** There is to be no entry of that key yet. */
  add(hash: number, entry: number): void {
    const bucket = this.#withRoom(hash % this.#count);
    const end = endOf(bucket);
    bucket[end] = hash;
    bucket[end + 1] = entry;
    bucket[0] = (bucket[0] ?? 0) + 1;
  }

  remove(hash: number, entry: number): void {
    const number = hash % this.#count;
    const bucket = this.#buckets.find(number);
    if (bucket === undefined) return;
    const last = endOf(bucket) - 2;
    let at = 1;
    while (bucket[at + 1] !== entry || bucket[at] !== hash) {
      at += 2;
      if (at > last) return;
    }
    // The last one takes its place.
    bucket.copyWithin(at, last, last + 2);
    bucket[0] = (bucket[0] ?? 1) - 1;
    if (last === 1) {
      this.#buckets.remove(number);
      this.#inUse--;
    } else if (last * 4 < bucket.length) this.#resize(number, bucket, keysIn(bucket) / 2);
  }

  clear(): void {
    this.#buckets.clear();
    this.#inUse = 0;
  }

  #withRoom(number: number): Bucket {
    const bucket = this.#buckets.find(number);
    if (bucket === undefined) return this.#resize(number, null, fewestKeys);
    if (endOf(bucket) < bucket.length) return bucket;
    return this.#resize(number, bucket, keysIn(bucket) * growth);
  }

  #resize(number: number, bucket: Bucket | null, keys: number): Bucket {
    const resized = new Uint32Array(1 + 2 * Math.max(fewestKeys, Math.ceil(keys)));
    if (bucket === null) this.#inUse++;
    else resized.set(bucket.subarray(0, endOf(bucket)));
    this.#buckets.put(number, resized);
    return resized;
  }
}

/** Where the next key has its place. */
function endOf(bucket: Bucket): number {
  return 1 + 2 * (bucket[0] ?? 0);
}

/** How many keys there is room for. */
function keysIn(bucket: Bucket): number {
  return (bucket.length - 1) / 2;
}
