import type { FaultLog } from '../shared/faults.ts';
import { Recent } from '../shared/recent.ts';
import { AdminError } from './http.ts';

/** Where a host keeps its consumers. Its methods may reject, and may never answer. */
export interface ConsumerDirectory {
  /** What people call the consumer with that id; null where the host knows none. */
  nameOf(id: string): Promise<string | null>;
  /** The ids of all consumers that have that id, name or key id. */
  find(name: string): Promise<readonly string[]>;
}

export interface ConsumerNamesParts {
  /** Null where the host keeps none: there an id is all that a consumer is called. */
  readonly directory: () => ConsumerDirectory | null;
  readonly faults: FaultLog;
  /** Milliseconds by a clock that nothing sets. */
  readonly running?: () => number;
  /** How long an answer of the admin API waits for names; 1000 where it is not said. */
  readonly patienceMs?: number;
}

interface KnownName {
  readonly name: string | null;
  readonly until: number;
}

const maxKnown = 20_000;
const keptMs = 60_000;
const atOnce = 50;

/** The names of consumers, remembered for a minute: a page asks for the same ones again and again. */
export class ConsumerNames {
  readonly #parts: ConsumerNamesParts;
  readonly #running: () => number;
  readonly #patienceMs: number;
  readonly #known = new Recent<KnownName>(maxKnown);

  constructor(parts: ConsumerNamesParts) {
    this.#parts = parts;
    this.#running = parts.running ?? (() => performance.now());
    this.#patienceMs = parts.patienceMs ?? 1000;
  }

  /** The names of those that have one, by id. A directory that fails or is slow leaves names out. */
  async of(ids: Iterable<string | null | undefined>): Promise<ReadonlyMap<string, string>> {
    const asked = [...new Set(ids)].filter((id) => typeof id === 'string');
    const directory = this.#parts.directory();
    if (directory !== null) await this.#learn(directory, asked);
    return new Map(
      asked.flatMap((id) => {
        const name = this.#known.get(id)?.name ?? null;
        return name === null ? [] : [[id, name] as const];
      }),
    );
  }

  /** The same things, each with the name of its `consumer`; null where that has none. */
  async named<T extends { readonly consumer: string | null }>(
    all: readonly T[],
  ): Promise<(T & { readonly consumerName: string | null })[]> {
    const names = await this.of(all.map(({ consumer }) => consumer));
    return all.map((one) => ({ ...one, consumerName: names.get(one.consumer ?? '') ?? null }));
  }

  /**
   * The id that `text` stands for, which may be a name. `isKnown` says whether the books or a store
   * have met it as an id. Throws an AdminError where no consumer has it, or more than one.
   */
  async idOf(text: string, isKnown: () => Promise<boolean>): Promise<string> {
    const directory = this.#parts.directory();
    if (directory === null) return text;
    const found = await this.#find(directory, text);
    const quoted = JSON.stringify(text.slice(0, 80));
    if (found.length > 1) {
      throw new AdminError(
        409,
        `more than one consumer is called ${quoted}: give the id, one of ${found.join(', ')}`,
      );
    }
    if (found[0] !== undefined) return found[0];
    // The subject of a token that the gateway did not look up, or a consumer that was deleted.
    if (await isKnown()) return text;
    throw new AdminError(404, `no consumer has the name or id ${quoted}`);
  }

  /** The id that `text` stands for in a setting, whose consumer may come later; null where that is not known. */
  async find(text: string): Promise<string | null> {
    const directory = this.#parts.directory();
    if (directory === null) return text;
    const found = await this.#find(directory, text);
    return found.length === 1 ? (found[0] ?? null) : null;
  }

  async #learn(directory: ConsumerDirectory, ids: readonly string[]): Promise<void> {
    const now = this.#running();
    const unknown = ids.filter((id) => !((this.#known.get(id)?.until ?? 0) > now));
    const until = now + this.#patienceMs;
    for (let at = 0; at < unknown.length && this.#running() < until; at += atOnce) {
      const some = unknown.slice(at, at + atOnce);
      const left = until - this.#running();
      try {
        await inTime(Promise.all(some.map((id) => this.#learnOne(directory, id))), left);
      } catch (error) {
        this.#parts.faults.report('llm-cache: the names of consumers could not be read', error);
        return;
      }
    }
  }

  async #learnOne(directory: ConsumerDirectory, id: string): Promise<void> {
    const name = await directory.nameOf(id);
    this.#known.set(id, { name, until: this.#running() + keptMs });
  }

  async #find(directory: ConsumerDirectory, text: string): Promise<readonly string[]> {
    try {
      return await inTime(directory.find(text), this.#patienceMs);
    } catch (error) {
      this.#parts.faults.report('llm-cache: a consumer could not be looked up', error);
      throw new AdminError(503, 'the consumers cannot be looked up at the moment');
    }
  }
}

/** Rejects when `promise` takes longer. */
async function inTime<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${Math.round(ms)} ms`)), ms);
  });
  // Whichever comes second is not missed.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
