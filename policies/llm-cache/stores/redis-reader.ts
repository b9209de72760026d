import type { SharedBodies } from '../../shared/bytes/shared-bodies.ts';
import { isWrongType, type RedisConnection } from '../../shared/redis/connection.ts';
import { Recent } from '../../shared/recent.ts';
import { isSentCompressed } from '../compressed-hits.ts';
import { type CachedResponse, type EntryHead, entryOf } from '../entry.ts';
import { type Envelope, headEnd, isOtherVersion, markOf, maxHeadEnd } from './envelope.ts';
import { SingleFlight } from './single-flight.ts';
import { NoRoom } from './store.ts';
import { bodyOf, isGzip, lengthOf, type StoredBody } from './stored-body.ts';

/** Bytes that most entries are shorter than, and that have every head whole. */
const beginBytes = 64 * 1024;
/** Bytes that nearly every head ends within. */
const shortBegin = 4096;
/** Names whose newest entry is known again, while a client still reads it. */
const maxKnown = 1000;

export interface RedisReaderOptions {
  readonly connection: RedisConnection;
  readonly envelope: Envelope;
  readonly bodies: SharedBodies;
  /** Told of each value that is none of a gateway's with this key, or was changed. */
  readonly damaged: () => void;
}

export interface FoundHead {
  readonly head: EntryHead;
  /** Of the body as it is stored. */
  readonly bytes: number;
}

/**
 * Reads entries out of Redis, where others can write: what is not as a gateway has written it is
 * none, and is written over when its answer is stored anew. Bodies are charged before they are read.
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

  /** Rejects where Redis cannot be asked, and with NoRoom where the body cannot be held. */
  get(name: string, takesGzip: boolean): Promise<CachedResponse | undefined> {
    const form = takesGzip ? compressed(name) : name;
    return this.#reads.run(form, () => this.#read(name, form));
  }

  /** The name, or any of them, has another entry now. */
  forget(name?: string): void {
    if (name === undefined) this.#reads.forgetAll();
    else for (const form of [name, compressed(name)]) this.#reads.forget(form);
  }

  /** The head alone; null where there is no value, undefined where it is no entry that can be read. */
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
      // Twice, for another entry may take its place between the begin and the body.
      for (let attempt = 0; attempt < 2; attempt++) {
        const found = await this.#whole(name, form);
        if (found !== null) return found;
      }
    } catch (error) {
      if (!isWrongType(error)) throw error;
    }
    return this.#damaged();
  }

  /** Null where what stands there is not what was written. */
  async #whole(name: string, form: string): Promise<CachedResponse | undefined | null> {
    const { envelope, bodies } = this.#options;
    const begin = await this.#range(name, 0, beginBytes + 1);
    if (begin.length === 0 || isOtherVersion(begin)) return undefined;
    const mark = markOf(begin);
    const same = this.#knownAs(form, mark) ?? this.#knownAs(name, mark);
    if (same !== undefined) return this.#lent(same);
    const opened = envelope.open(name, begin);
    if (opened === undefined) return null;
    const { bodyStart, bodyLength } = opened;
    // One byte more is asked for than there may be, here and above: nothing stands after the body.
    const body =
      begin.length <= beginBytes
        ? begin.subarray(bodyStart)
        : await bodies.during(bodyLength, () => this.#range(name, bodyStart, bodyLength + 1));
    if (body === null) throw new NoRoom();
    const stored = body.length === bodyLength ? opened.body(ownMemory(body)) : undefined;
    const entry = stored && (await this.#entry(opened.head, stored, form !== name));
    if (entry === undefined) return null;
    this.#known.set(entry.coding === undefined ? name : form, { mark, entry: new WeakRef(entry) });
    return this.#lent(entry);
  }

  #knownAs(form: string, mark: string): CachedResponse | undefined {
    const known = this.#known.get(form);
    return known?.mark === mark ? known.entry.deref() : undefined;
  }

  /** Undefined where the body cannot be had; rejects with NoRoom where it cannot be held. */
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

  /** Charged until its readers have had a turn to hold it themselves. */
  #lent(entry: CachedResponse): CachedResponse {
    const { bodies } = this.#options;
    if (!bodies.hold(entry)) throw new NoRoom();
    setImmediate(() => bodies.release(entry));
    return entry;
  }

  #damaged(): undefined {
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

/** What the entry of that name is known as whose body is not decoded. */
function compressed(name: string): string {
  return `gzip ${name}`;
}

/** The client's buffers are large, and a small part of one holds all of it. */
function ownMemory(bytes: Buffer): Uint8Array {
  return bytes.buffer.byteLength === bytes.length ? bytes : new Uint8Array(bytes);
}
