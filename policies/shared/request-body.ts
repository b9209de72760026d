import type { ByteAccount } from './bytes/budget.ts';
import type { BodyContent, ContentProblem } from './body-content.ts';
import type { Hashing, RunningHash } from './bytes/hashing.ts';
import { nameOrNull } from './json/json.ts';
import { JsonScan } from './json/json-scan.ts';
import type { Protocol, Target } from './protocols/protocol.ts';
import { Recent } from './recent.ts';
import { inTurns, nowOrInTurns } from './turns.ts';
import type { Decode } from './bytes/undo-codings.ts';

/** What the policies go by of a request body. */
export interface BodyFacts {
  /** Why it cannot be gone by; null when it is a JSON object that can. */
  readonly problem: ContentProblem | null;
  /** In bytes, without a content coding. */
  readonly length: number;
  readonly model: string | null;
  readonly isStream: boolean;
  /** Whether a replay would lose an effect at the provider. */
  readonly isStateful: boolean;
  /** Whether it bounds the length of the answer. */
  readonly setsLimit: boolean;
  /** How many choices or vectors it asks for. */
  readonly parts: number;
}

/** What a body is read for: the API, and where the request goes. */
export interface Asked extends Target {
  readonly protocol: Protocol;
}

/** What is there already, or comes when it is found out: of a large body, bit by bit. */
export type Later<T> = T | Promise<T>;

export function whenKnown<T, R>(later: Later<T>, then: (value: T) => Later<R>): Later<R> {
  return later instanceof Promise ? later.then(then) : then(later);
}

const maxRemembered = 10_000;

interface KnownFacts {
  readonly protocol: Protocol;
  readonly facts: BodyFacts;
}

/** What was found in bodies, so that the same bytes are not read again. */
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

/** How bodies are read here. */
export interface BodyReading {
  readonly hashing: Hashing;
  /** Tells long bytes apart faster than a hash; nothing outside of this process knows what it gives. Null for none. */
  readonly naming: (() => RunningHash) | null;
  /** Whether bytes are UTF-8, by the platform's own means; null where it has none that take no time. */
  readonly isUtf8: ((bytes: Uint8Array) => boolean) | null;
  /** Null where nothing is remembered. */
  readonly memory: BodyMemory | null;
  readonly decode: Decode;
}

/** How a body that has a content coding may be decoded. */
export interface Coded {
  readonly coding: string;
  readonly maxBytes: number;
  readonly account: ByteAccount;
}

/** A body up to so many bytes is read at once; if that takes long, once more and bit by bit. */
const maxAtOnceBytes = 256 * 1024;
/** About a millisecond's work. */
const unitsAtOnce = 1024 * 1024;
/** Bytes up to which a body is given its name at once. */
const maxNamedAtOnceBytes = 1024 * 1024;
/** From so many bytes on `naming` is faster than a hash. */
const minNamingBytes = 10 * 1024;
const unitsOfAStep = 64 * 1024;

/** A request body as it came. It is read once, when more is asked of it than is remembered. */
export class RequestBody {
  /** As it came. Not to be written into. */
  readonly chunks: readonly Uint8Array[];
  /** In bytes, as it came. */
  readonly length: number;
  readonly #reading: BodyReading;
  /** Null where it has no content coding. */
  readonly coded: Coded | null;
  #id: Later<string> | null = null;
  #facts: Later<BodyFacts> | null = null;
  #protocol: Protocol | null = null;
  #content: Later<BodyContent> | null = null;
  /** What is being done with its bytes. */
  #work: Set<Promise<unknown>> | null = null;

  constructor(chunks: readonly Uint8Array[], reading: BodyReading, coded: Coded | null = null) {
    this.chunks = chunks;
    let length = 0;
    for (const chunk of chunks) length += chunk.length;
    this.length = length;
    this.#reading = reading;
    this.coded = coded;
  }

  /** The same body, for one who takes more of a body that has a content coding. */
  within(maxBytes: number): RequestBody {
    const coded = this.coded;
    if (coded === null || maxBytes <= coded.maxBytes) return this;
    return new RequestBody(this.chunks, this.#reading, { ...coded, maxBytes });
  }

  /** Another body, without a content coding, that is read by the same means and not remembered. */
  like(bytes: Uint8Array): RequestBody {
    return new RequestBody([bytes], { ...this.#reading, memory: null });
  }

  /** The same for the same bytes in the same coding; null where nothing is remembered. */
  get id(): Later<string> | null {
    if (this.#reading.memory === null) return null;
    return (this.#id ??= this.#track(this.#identify(), (id) => (this.#id = id)));
  }

  facts(asked: Asked): Later<BodyFacts> {
    const { protocol } = asked;
    const facts = this.#factsIn(protocol);
    if (protocol.readTarget === undefined) return facts;
    const told = protocol.readTarget(asked);
    return whenKnown(facts, (known) => ({ ...known, ...told }));
  }

  /** What the body itself tells. */
  #factsIn(protocol: Protocol): Later<BodyFacts> {
    if (this.#facts === null || this.#protocol !== protocol) {
      this.#protocol = protocol;
      const facts = whenKnown(this.id ?? '', (id) => this.#factsOf(id, protocol));
      this.#facts = this.#track(facts, (known) => (this.#facts = known));
    }
    return this.#facts;
  }

  /** What it says. */
  get content(): Later<BodyContent> {
    return (this.#content ??= this.#track(this.#read(), (content) => (this.#content = content)));
  }

  /** Resolves when nothing is being done with its bytes; null where nothing is. */
  get idle(): Promise<unknown> | null {
    const work = this.#work;
    return work === null || work.size === 0 ? null : Promise.allSettled(work);
  }

  #track<T>(later: Later<T>, settle: (value: T) => void): Later<T> {
    if (!(later instanceof Promise)) return later;
    const work = (this.#work ??= new Set());
    work.add(later);
    const done = () => work.delete(later);
    later.then(settle).then(done, done);
    return later;
  }

  #identify(): Later<string> {
    const { hashing, naming } = this.#reading;
    const { chunks, length } = this;
    const [first] = chunks;
    const coding = this.coded === null ? '' : `${this.coded.coding} `;
    const isLong = naming !== null && length >= minNamingBytes;
    if (chunks.length === 1 && first !== undefined && length <= unitsOfAStep && !isLong) {
      return coding + hashing.of(first);
    }
    const name = isLong ? naming() : hashing.start();
    const step = steps(chunks, (bytes) => name.update(bytes));
    if (length > maxNamedAtOnceBytes) return finished(step, () => coding + name.end());
    while (!step());
    return coding + name.end();
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
      if (!isPassing(problem)) memory?.remember(id, protocol, facts);
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
    if (length > maxAtOnceBytes) return finished(() => step(unitsOfAStep), content);
    if (step(unitsAtOnce)) return content();
    // Joined when it is its turn, so that there is one copy at a time.
    scan = undefined;
    return inTurns(() => step(unitsOfAStep)).then(content);
  }

  /** Null where the bytes are known not to be UTF-8. */
  #scanOf(bytes: Uint8Array): JsonScan | null {
    const { hashing, isUtf8 } = this.#reading;
    if (isUtf8 !== null && !isUtf8(bytes)) return null;
    return new JsonScan(bytes, hashing, { isUtf8: isUtf8 !== null });
  }
}

function unreadable(problem: ContentProblem, length: number): BodyContent {
  return { problem, length, outline: {}, members: null, digest: '' };
}

/** What long work comes to: at once where it is done in the first turn. */
function finished<T>(step: () => boolean, result: () => T): Later<T> {
  return nowOrInTurns(step)?.then(result) ?? result();
}

/** Whether the same body may have no such problem the next time. */
function isPassing(problem: ContentProblem | null): boolean {
  return problem === 'buffer-limit' || problem === 'request-too-large';
}

/** Takes the bytes of `chunks` piece by piece; says true when there are no more. */
function steps(chunks: readonly Uint8Array[], take: (bytes: Uint8Array) => void): () => boolean {
  let at = 0;
  let from = 0;
  return () => {
    const chunk = chunks[at];
    if (chunk === undefined) return true;
    take(chunk.subarray(from, from + unitsOfAStep));
    from += unitsOfAStep;
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
