import { isObject, type JsonObject, nameOrNull } from './json.ts';
import type { Protocol } from './protocols/protocol.ts';
import { Recent } from './recent.ts';

/** What the policies go by of a request body. */
export interface BodyFacts {
  /** Why it is not a JSON object; null when it is. */
  readonly problem: 'not-utf8' | 'not-json' | null;
  readonly model: string | null;
  readonly isStream: boolean;
  /** Whether a replay would lose an effect at the provider. */
  readonly isStateful: boolean;
  /** Whether it bounds the length of the answer. */
  readonly setsLimit: boolean;
  /** How many choices or vectors it asks for. */
  readonly parts: number;
}

const maxRemembered = 10_000;

/** What was found in bodies, so that the same bytes are not read again. */
export class BodyMemory {
  readonly #hash: (chunks: readonly Uint8Array[]) => string;
  readonly #facts = new Recent<BodyFacts>(maxRemembered);

  /** `hash` tells bytes apart as a cryptographic digest does: tenants' answers hang on it. */
  constructor(hash: (chunks: readonly Uint8Array[]) => string) {
    this.#hash = hash;
  }

  idOf(chunks: readonly Uint8Array[]): string {
    return this.#hash(chunks);
  }

  facts(name: string): BodyFacts | undefined {
    return this.#facts.get(name);
  }

  remember(name: string, facts: BodyFacts): void {
    this.#facts.set(name, facts);
  }
}

/** A request body as it came. It is read as text and as JSON once, when somebody asks for more than is remembered. */
export class RequestBody {
  /** As it came. Nobody writes into it. */
  readonly chunks: readonly Uint8Array[];
  /** In bytes. */
  readonly length: number;
  readonly #memory: BodyMemory | null;
  #id: string | null = null;
  #facts: BodyFacts | null = null;
  #protocol: Protocol | null = null;
  #read: { text: string; json: JsonObject; problem: BodyFacts['problem'] } | null = null;

  constructor(chunks: readonly Uint8Array[], memory: BodyMemory | null = null) {
    this.chunks = chunks;
    this.length = chunks.reduce((sum, { length }) => sum + length, 0);
    this.#memory = memory;
  }

  /** The same for the same bytes; null where nothing is remembered. */
  get id(): string | null {
    return (this.#id ??= this.#memory?.idOf(this.chunks) ?? null);
  }

  /** Why it is not a JSON object; null when it is. */
  get problem(): BodyFacts['problem'] {
    return this.#parsed.problem;
  }

  /** The text that was parsed; empty where the bytes are not UTF-8. */
  get text(): string {
    return this.#parsed.text;
  }

  /** The parsed body; empty where there is a problem. */
  get json(): JsonObject {
    return this.#parsed.json;
  }

  facts(protocol: Protocol): BodyFacts {
    if (this.#facts === null || this.#protocol !== protocol) {
      this.#facts = this.#findFacts(protocol);
      this.#protocol = protocol;
    }
    return this.#facts;
  }

  #findFacts(protocol: Protocol): BodyFacts {
    const name = `${protocol.name} ${this.id}`;
    const known = this.#memory?.facts(name);
    if (known !== undefined) return known;
    const { problem, json } = this;
    const facts = {
      problem,
      model: nameOrNull(json['model']),
      isStream: protocol.isStream(json),
      isStateful: protocol.isStateful(json),
      setsLimit: protocol.setsLimit(json),
      parts: protocol.parts(json),
    };
    this.#memory?.remember(name, facts);
    return facts;
  }

  get #parsed() {
    return (this.#read ??= parse(this.chunks));
  }
}

function parse(chunks: readonly Uint8Array[]) {
  let text = '';
  try {
    // A byte order mark is kept, so that it fails as JSON: RFC 8259 forbids it.
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    for (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
    text += decoder.decode();
  } catch {
    return { text, json: {}, problem: 'not-utf8' as const };
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return { text, json: parsed, problem: null };
  } catch {
    // Not JSON, as well as what is JSON and no object.
  }
  return { text, json: {}, problem: 'not-json' as const };
}
