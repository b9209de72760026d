import type { FaultLog } from '../shared/faults.ts';
import { Recent } from '../shared/recent.ts';
import { AdminError } from './http.ts';

/** A host's list of consumers. Its methods may reject or never settle. */
export interface ConsumerDirectory {
  /** Resolves a consumer's id to its name, or to null if the host has no such consumer. */
  nameOf(id: string): Promise<string | null>;
  /** Returns the ids of all consumers with that id, name or key id. */
  find(name: string): Promise<readonly string[]>;
}

export interface ConsumerNamesParts {
  /** Returns null if the host has no directory; a consumer then has only its id. */
  readonly directory: () => ConsumerDirectory | null;
  readonly faults: FaultLog;
  /** A monotonic clock, in milliseconds. */
  readonly running?: () => number;
  /** How long a response of the admin API waits for names. Default: 1000. */
  readonly patienceMs?: number;
}

interface KnownName {
  readonly name: string | null;
  readonly until: number;
}

const maxKnown = 20_000;
const ttlMs = 60_000;
const batchSize = 50;

/**
 * Looks up the names of consumers, and caches them for a minute since a page asks for the same ones
 * repeatedly.
 */
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

  /** Returns the known names by id. Leaves names out if the directory fails or is slow. */
  async of(ids: Iterable<string | null | undefined>): Promise<ReadonlyMap<string, string>> {
    const asked = [...new Set(ids)].filter((id) => typeof id === 'string');
    const directory = this.#parts.directory();
    if (directory !== null) await this.#load(directory, asked);
    return new Map(
      asked.flatMap((id) => {
        const name = this.#known.get(id)?.name ?? null;
        return name === null ? [] : [[id, name] as const];
      }),
    );
  }

  /** Adds to each item the name of its `consumer`, or null if it has none. */
  async named<T extends { readonly consumer: string | null }>(
    all: readonly T[],
  ): Promise<(T & { readonly consumerName: string | null })[]> {
    const names = await this.of(all.map(({ consumer }) => consumer));
    return all.map((one) => ({ ...one, consumerName: names.get(one.consumer ?? '') ?? null }));
  }

  /**
   * Resolves a consumer's id or name to its id. `isKnown` says whether the ledger or a store has
   * records under `text` as an id. Throws an AdminError if no consumer matches, or several do.
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
    // A token's subject that the gateway did not look up, or a deleted consumer.
    if (await isKnown()) return text;
    throw new AdminError(404, `no consumer has the name or id ${quoted}`);
  }

  /**
   * Resolves a setting's id or name to a consumer's id, or to null: the consumer may be added
   * later.
   */
  async find(text: string): Promise<string | null> {
    const directory = this.#parts.directory();
    if (directory === null) return text;
    const found = await this.#find(directory, text);
    return found.length === 1 ? (found[0] ?? null) : null;
  }

  async #load(directory: ConsumerDirectory, ids: readonly string[]): Promise<void> {
    const now = this.#running();
    const unknown = ids.filter((id) => !((this.#known.get(id)?.until ?? 0) > now));
    const until = now + this.#patienceMs;
    for (let at = 0; at < unknown.length && this.#running() < until; at += batchSize) {
      const some = unknown.slice(at, at + batchSize);
      const left = until - this.#running();
      try {
        await withTimeout(Promise.all(some.map((id) => this.#loadOne(directory, id))), left);
      } catch (error) {
        this.#parts.faults.report('llm-cache: the names of consumers could not be read', error);
        return;
      }
    }
  }

  async #loadOne(directory: ConsumerDirectory, id: string): Promise<void> {
    const name = await directory.nameOf(id);
    this.#known.set(id, { name, until: this.#running() + ttlMs });
  }

  async #find(directory: ConsumerDirectory, text: string): Promise<readonly string[]> {
    try {
      return await withTimeout(directory.find(text), this.#patienceMs);
    } catch (error) {
      this.#parts.faults.report('llm-cache: a consumer could not be looked up', error);
      throw new AdminError(503, 'the consumers cannot be looked up at the moment');
    }
  }
}

/** Rejects if `promise` takes longer than `ms`. */
async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${Math.round(ms)} ms`)), ms);
  });
  // Prevents an unhandled rejection after the timeout has won.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
