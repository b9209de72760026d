import type { ByteAccount } from './bytes/budget.ts';
import type { BodyContent, ContentProblem } from './body-content.ts';
import type { Hashing, RunningHash } from './bytes/hashing.ts';
import { nameOrNull } from './json/json.ts';
import { JsonScan } from './json/json-scan.ts';
import type { Protocol, Target } from './protocols/protocol.ts';
import { Recent } from './recent.ts';
import { inTurns, nowOrInTurns } from './turns.ts';
import type { Decode } from './bytes/undo-codings.ts';

/** The facts of a request body that the policies decide by. */
export interface BodyFacts {
  /** Why the body cannot be used; null if it is a JSON object that can. */
  readonly problem: ContentProblem | null;
  /** In bytes, after content decoding. */
  readonly length: number;
  readonly model: string | null;
  readonly isStream: boolean;
  /** Whether a replay would skip a side effect at the provider. */
  readonly isStateful: boolean;
  /** Whether the request bounds the length of the answer. */
  readonly setsLimit: boolean;
  /** How many choices, vectors or results the request asks for. */
  readonly parts: number;
}

/** The API that a body is read for, and the request's target. */
export interface Asked extends Target {
  readonly protocol: Protocol;
}

/** A value, or a promise of one if it takes several turns to compute, as for a large body. */
export type Later<T> = T | Promise<T>;

/** Calls `then` with the value: synchronously if it is known, so that small bodies cost no promise. */
export function whenKnown<T, R>(later: Later<T>, then: (value: T) => Later<R>): Later<R> {
  return later instanceof Promise ? later.then(then) : then(later);
}

const maxRemembered = 10_000;

interface KnownFacts {
  readonly protocol: Protocol;
  readonly facts: BodyFacts;
}

/** Remembers the facts of bodies, so that the same bytes are not parsed again. */
export class BodyMemory {
  readonly #known = new Recent<KnownFacts>(maxRemembered);

  facts(id: string, protocol: Protocol): BodyFacts | undefined {
    const known = this.#known.get(id);
    return known?.protocol === protocol ? known.facts : undefined;
  }

  remember(id: string, protocol: Protocol, facts: BodyFacts): void {
    this.#known.set(id, { protocol, facts });
  }
}

/** The means by which a host reads bodies. */
export interface BodyReading {
  readonly hashing: Hashing;
  /** A hash that is faster on long bodies and whose values stay in this process. Null for none. */
  readonly naming: (() => RunningHash) | null;
  /** The platform's own check for UTF-8; null if it has no fast one. */
  readonly isUtf8: ((bytes: Uint8Array) => boolean) | null;
  /** Null to remember nothing. */
  readonly memory: BodyMemory | null;
  readonly decode: Decode;
}

/** The coding of a body, and the bounds for decoding it. */
export interface Coded {
  readonly coding: string;
  readonly maxBytes: number;
  readonly account: ByteAccount;
}

/** A body up to this size is read at once; if that takes too long, it is read again in turns. */
const maxAtOnceBytes = 256 * 1024;
/** About a millisecond of work. */
const unitsAtOnce = 1024 * 1024;
/** A body up to this size is hashed at once. */
const maxHashedAtOnceBytes = 1024 * 1024;
/** From this size on, `naming` is faster than `hashing`. */
const minNamingBytes = 10 * 1024;
const unitsPerStep = 64 * 1024;

/** A request body as it came. It is parsed only if more is asked of it than is remembered. */
export class RequestBody {
  /** The bytes as they came. Not to be written into. */
  readonly chunks: readonly Uint8Array[];
  /** In bytes, as it came. */
  readonly length: number;
  readonly #reading: BodyReading;
  /** Null if the body has no content coding. */
  readonly coded: Coded | null;
  #id: Later<string> | null = null;
  #facts: Later<BodyFacts> | null = null;
  #protocol: Protocol | null = null;
  #content: Later<BodyContent> | null = null;
  /** The work under way that reads the bytes. */
  #work: Set<Promise<unknown>> | null = null;

  constructor(chunks: readonly Uint8Array[], reading: BodyReading, coded: Coded | null = null) {
    this.chunks = chunks;
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    this.length = length;
    this.#reading = reading;
    this.coded = coded;
  }

  /** Returns the same body with a higher bound for decoding, if `maxBytes` is higher and it is coded. */
  within(maxBytes: number): RequestBody {
    const coded = this.coded;
    if (coded === null || maxBytes <= coded.maxBytes) return this;
    return new RequestBody(this.chunks, this.#reading, { ...coded, maxBytes });
  }

  /** Returns a body of other bytes, not coded, that is read by the same means and not remembered. */
  like(bytes: Uint8Array): RequestBody {
    return new RequestBody([bytes], { ...this.#reading, memory: null });
  }

  /** A hash of the bytes and their coding; null if nothing is remembered. */
  get id(): Later<string> | null {
    if (this.#reading.memory === null) return null;
    return (this.#id ??= this.#track(this.#identify(), (id) => (this.#id = id)));
  }

  facts(asked: Asked): Later<BodyFacts> {
    const { protocol } = asked;
    const facts = this.#bodyFacts(protocol);
    if (protocol.readTarget === undefined) return facts;
    const targetFacts = protocol.readTarget(asked);
    return whenKnown(facts, (known) => ({ ...known, ...targetFacts }));
  }

  /** Returns the facts that the body itself states. */
  #bodyFacts(protocol: Protocol): Later<BodyFacts> {
    if (this.#facts === null || this.#protocol !== protocol) {
      this.#protocol = protocol;
      const facts = whenKnown(this.id ?? '', (id) => this.#factsOf(id, protocol));
      this.#facts = this.#track(facts, (known) => (this.#facts = known));
    }
    return this.#facts;
  }

  get content(): Later<BodyContent> {
    return (this.#content ??= this.#track(this.#read(), (content) => (this.#content = content)));
  }

  /** Resolves when no work reads the bytes any more; null if none does now. */
  get idle(): Promise<unknown> | null {
    const work = this.#work;
    return work === null || work.size === 0 ? null : Promise.allSettled(work);
  }

  #track<T>(later: Later<T>, store: (value: T) => void): Later<T> {
    if (!(later instanceof Promise)) return later;
    const work = (this.#work ??= new Set());
    work.add(later);
    const done = () => work.delete(later);
    later.then(store).then(done, done);
    return later;
  }

  #identify(): Later<string> {
    const { hashing, naming } = this.#reading;
    const { chunks, length } = this;
    const [first] = chunks;
    const coding = this.coded === null ? '' : `${this.coded.coding} `;
    const isLong = naming !== null && length >= minNamingBytes;
    if (chunks.length === 1 && first !== undefined && length <= unitsPerStep && !isLong) {
      return coding + hashing.of(first);
    }
    const hash = isLong ? naming() : hashing.start();
    const step = steps(chunks, (bytes) => hash.update(bytes));
    if (length > maxHashedAtOnceBytes) return finished(step, () => coding + hash.end());
    while (!step());
    return coding + hash.end();
  }

  #factsOf(id: string, protocol: Protocol): Later<BodyFacts> {
    const { memory } = this.#reading;
    const known = memory?.facts(id, protocol);
    if (known !== undefined) return known;
    return whenKnown(this.content, ({ problem, outline, length }) => {
      const facts = {
        problem,
        length,
        model: nameOrNull(outline['model']),
        isStream: protocol.isStream(outline),
        isStateful: protocol.isStateful(outline),
        setsLimit: protocol.setsLimit(outline),
        parts: protocol.parts(outline),
      };
      if (!isTransient(problem)) memory?.remember(id, protocol, facts);
      return facts;
    });
  }

  #read(): Later<BodyContent> {
    if (this.coded === null) return this.#scan(this.chunks, this.length);
    return this.#decode(this.coded);
  }

  async #decode({ coding, maxBytes, account }: Coded): Promise<BodyContent> {
    const { chunks } = this;
    const decoded = await this.#reading.decode({ chunks, coding }, maxBytes, account);
    if (typeof decoded === 'string') return unreadable(decoded, 0);
    try {
      return await this.#scan(decoded.chunks, decoded.size);
    } finally {
      decoded.release();
    }
  }

  #scan(chunks: readonly Uint8Array[], length: number): Later<BodyContent> {
    let scan: JsonScan | null | undefined;
    const step = (units: number) => {
      if (scan === undefined) scan = this.#scanOf(joined(chunks, length));
      return scan === null || scan.step(units);
    };
    const content = () => scan?.content ?? unreadable('not-utf8', length);
    if (length > maxAtOnceBytes) return finished(() => step(unitsPerStep), content);
    if (step(unitsAtOnce)) return content();
    // The bytes are joined again in the first turn, so that only one copy exists at a time.
    scan = undefined;
    return inTurns(() => step(unitsPerStep)).then(content);
  }

  /** Returns null if the bytes are known not to be UTF-8. */
  #scanOf(bytes: Uint8Array): JsonScan | null {
    const { hashing, isUtf8 } = this.#reading;
    if (isUtf8 !== null && !isUtf8(bytes)) return null;
    return new JsonScan(bytes, hashing, { isUtf8: isUtf8 !== null });
  }
}

function unreadable(problem: ContentProblem, length: number): BodyContent {
  return { problem, length, outline: {}, members: null, digest: '' };
}

/** Returns the result of long work; synchronously if the first turn completes it. */
function finished<T>(step: () => boolean, result: () => T): Later<T> {
  return nowOrInTurns(step)?.then(result) ?? result();
}

/** Whether the same body may not have this problem next time. */
function isTransient(problem: ContentProblem | null): boolean {
  return problem === 'buffer-limit' || problem === 'request-too-large';
}

/** Returns a step that passes the next piece of `chunks` to `take`, and returns true after the last. */
function steps(chunks: readonly Uint8Array[], take: (bytes: Uint8Array) => void): () => boolean {
  let at = 0;
  let from = 0;
  return () => {
    const chunk = chunks[at];
    if (chunk === undefined) return true;
    take(chunk.subarray(from, from + unitsPerStep));
    from += unitsPerStep;
    if (from >= chunk.length) {
      at++;
      from = 0;
    }
    return at === chunks.length;
  };
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first !== undefined) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
