import type { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { isWrongType, type RedisConnection } from '../../shared/redis/connection.ts';
import { Recent } from '../../shared/recent.ts';
import { isSentCompressed } from '../compressed-hits.ts';
import { type CachedResponse, type EntryHead, entryOf } from '../entry.ts';
import { type Envelope, headEnd, isOtherVersion, markOf, maxHeadEnd } from './envelope.ts';
import { SingleFlight } from './single-flight.ts';
import { NoRoom } from './store.ts';
import { bodyOf, isGzip, lengthOf, type StoredBody } from './stored-body.ts';

/** The first read of an entry. It includes every whole head, and most entries entirely. */
const beginBytes = 64 * 1024;
/** Nearly every head ends within these bytes. */
const shortBegin = 4096;
/** The bound on the names whose newest entry is shared while a client still reads it. */
const maxKnown = 1000;

export interface RedisReaderOptions {
  readonly connection: RedisConnection;
  readonly envelope: Envelope;
  readonly bodies: SharedBodies;
  /** Called for each value that was changed, or that no gateway with this key wrote. */
  readonly damaged: () => void;
}

export interface FoundHead {
  readonly head: EntryHead;
  /** The size of the body as stored. */
  readonly bytes: number;
}

/**
 * Reads entries from Redis, which other parties may write to. A value that a gateway did not write,
 * or that was changed, counts as a miss, and the next answer for the key overwrites it. Bodies are
 * charged to the byte budget before they are read.
 */
export class RedisReader {
  readonly #options: RedisReaderOptions;
  readonly #reads = new SingleFlight<CachedResponse | undefined>();
  readonly #known = new Recent<{ readonly mark: string; readonly entry: WeakRef<CachedResponse> }>(
    maxKnown,
  );

  constructor(options: RedisReaderOptions) {
    this.#options = options;
  }

  /** Resolves to an entry, or undefined on a miss. Rejects if Redis fails, and with NoRoom if there is no room for the body. */
  get(name: string, takesGzip: boolean): Promise<CachedResponse | undefined> {
    const form = takesGzip ? compressed(name) : name;
    return this.#reads.run(form, () => this.#read(name, form));
  }

  /** Call after the entry under the name, or under any name, has changed. */
  forget(name?: string): void {
    if (name === undefined) this.#reads.forgetAll();
    else for (const form of [name, compressed(name)]) this.#reads.forget(form);
  }

  /** Reads the head alone. Null if there is no value, undefined if the value is not a readable entry. */
  async head(name: string, timeoutMs?: number): Promise<FoundHead | null | undefined> {
    try {
      const [short, length] = await this.#options.connection.run(
        (client) =>
          Promise.all([client.getrangeBuffer(name, 0, shortBegin - 1), client.strlen(name)]),
        timeoutMs,
      );
      if (length === 0) return null;
      const isWhole = (headEnd(short) ?? 0) <= short.length;
      const begin = isWhole ? short : await this.#range(name, 0, maxHeadEnd, timeoutMs);
      const opened = this.#options.envelope.open(name, begin);
      if (opened === undefined || opened.bodyStart + opened.bodyLength !== length) return undefined;
      return { head: opened.head, bytes: opened.bodyLength };
    } catch (error) {
      if (isWrongType(error)) return undefined;
      throw error;
    }
  }

  async #read(name: string, form: string): Promise<CachedResponse | undefined> {
    try {
      // Try twice, because another entry may replace this one between the two reads.
      for (let attempt = 0; attempt < 2; attempt++) {
        const found = await this.#readOnce(name, form);
        if (found !== null) return found;
      }
    } catch (error) {
      if (!isWrongType(error)) throw error;
    }
    return this.#reportDamage();
  }

  /** Undefined on a miss, null if the value is not what a gateway wrote. */
  async #readOnce(name: string, form: string): Promise<CachedResponse | undefined | null> {
    const { envelope, bodies } = this.#options;
    const begin = await this.#range(name, 0, beginBytes + 1);
    if (begin.length === 0 || isOtherVersion(begin)) return undefined;
    const mark = markOf(begin);
    const known = this.#findKnown(form, mark) ?? this.#findKnown(name, mark);
    if (known !== undefined) return this.#lend(known);
    const opened = envelope.open(name, begin);
    if (opened === undefined) return null;
    const { bodyStart, bodyLength } = opened;
    // Both reads request one byte too many, to verify that nothing follows the body.
    const body =
      begin.length <= beginBytes
        ? begin.subarray(bodyStart)
        : await bodies.during(bodyLength, () => this.#range(name, bodyStart, bodyLength + 1));
    if (body === null) throw new NoRoom();
    const stored = body.length === bodyLength ? opened.body(ownMemory(body)) : undefined;
    const entry = stored && (await this.#entry(opened.head, stored, form !== name));
    if (entry === undefined) return null;
    this.#known.set(entry.coding === undefined ? name : form, { mark, entry: new WeakRef(entry) });
    return this.#lend(entry);
  }

  #findKnown(form: string, mark: string): CachedResponse | undefined {
    const known = this.#known.get(form);
    return known?.mark === mark ? known.entry.deref() : undefined;
  }

  /** Undefined if the body is damaged. Rejects with NoRoom if there is no room for it. */
  async #entry(
    head: EntryHead,
    stored: StoredBody,
    takesGzip: boolean,
  ): Promise<CachedResponse | undefined> {
    const { bodies } = this.#options;
    const sends = () => isSentCompressed(head, lengthOf(stored), stored.bytes.length);
    if (takesGzip && isGzip(stored) && sends()) {
      return entryOf(head, stored.bytes, 'gzip');
    }
    let body: Uint8Array | null;
    try {
      body = await bodies.during(lengthOf(stored), () => bodyOf(stored));
    } catch {
      return undefined;
    }
    if (body === null) throw new NoRoom();
    return entryOf(head, body);
  }

  /** Holds the entry's body for one turn of the event loop, until its readers hold it themselves. */
  #lend(entry: CachedResponse): CachedResponse {
    const { bodies } = this.#options;
    if (!bodies.hold(entry)) throw new NoRoom();
    setImmediate(() => bodies.release(entry));
    return entry;
  }

  #reportDamage(): undefined {
    this.#options.connection.warn(
      'has values that this gateway does not trust, and treats as misses',
    );
    this.#options.damaged();
  }

  #range(name: string, start: number, length: number, timeoutMs?: number): Promise<Buffer> {
    return this.#options.connection.run(
      (client) => client.getrangeBuffer(name, start, start + length - 1),
      timeoutMs,
    );
  }
}

/** Returns the name under which the undecoded form of an entry is known here. */
function compressed(name: string): string {
  return `gzip ${name}`;
}

/** Copies bytes out of the client's large buffer, which they would otherwise keep in memory. */
function ownMemory(bytes: Buffer): Uint8Array {
  return bytes.buffer.byteLength === bytes.length ? bytes : new Uint8Array(bytes);
}
