import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Answer } from '../shared/answer.ts';
import type { Digest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { formatOf } from '../shared/format.ts';
import { nextTurn } from '../shared/turns.ts';
import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import { itemEntries } from './items/item-entries.ts';
import type { Items } from './items/items.ts';
import type { Lookup } from './lookup.ts';
import { refusalOf } from './response-rules.ts';
import type { CallOutcome } from './stores/relay.ts';
import type { EntryStore } from './stores/store.ts';
import type { Timings } from './timings.ts';

/** Grace period: the least time that an expired entry is retained, to tell expired from never stored. */
const graceMs = 60_000;
/** Entries to store in one turn of the event loop. */
const writesPerTurn = 100;

export interface AdmissionParts {
  readonly store: EntryStore;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

export interface Admitted {
  /** Null if the answer may not be shared. */
  readonly entry: CachedResponse | null;
  /** What to publish to other gateways. */
  readonly outcome: CallOutcome;
}

type Call = Pick<Flight, 'startedAt' | 'consumer' | 'fingerprint'>;

/** Decides which answers may be stored, and stores them. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Stores the answer to a call if the rules allow it. Never rejects. */
  async admit(lookup: Lookup, answer: Answer, call: Call): Promise<Admitted> {
    try {
      const { request, tally } = lookup;
      const reason = refusalOf(answer, request.protocol, lookup.facts);
      if (reason !== null || answer.body === null) {
        tally.countNotStored(reason ?? 'no-body');
        return { entry: null, outcome: unstored(answer) };
      }
      if (lookup.items !== null) return await this.#admitItems(lookup, lookup.items, answer, call);
      const entry = await this.#entry(lookup, call, answer, answer.body);
      if (entry.freshUntil <= entry.storedAt) {
        tally.countNotStored('expired');
        return { entry: null, outcome: unstored(answer) };
      }
      const isStored = await this.#store(lookup, entry, call.startedAt);
      return { entry, outcome: isStored ? storedAs(entry) : unstored(answer) };
    } catch (error) {
      lookup.tally.countNotStored('store-error');
      this.#parts.faults.report('llm-cache: an answer could not be stored', error);
      return { entry: null, outcome: unstored(answer) };
    }
  }

  /**
   * Stores the answer input by input. Joiners get the whole answer, which is stored only if other
   * gateways read it from the store.
   */
  async #admitItems(lookup: Lookup, items: Items, answer: Answer, call: Call): Promise<Admitted> {
    const calledAt = call.startedAt;
    const body = answer.body ?? new Uint8Array();
    const entry = await this.#entry(lookup, call, answer, body);
    const entries = await itemEntries(items, entry, this.#parts.digest);
    if (typeof entries === 'string') {
      lookup.tally.countNotStored(entries);
      return { entry: null, outcome: unstored(answer) };
    }
    for (const [at, one] of entries.entries()) {
      if (at % writesPerTurn === writesPerTurn - 1) await nextTurn();
      await this.#store({ ...lookup, key: one.key }, one.entry, calledAt);
    }
    const isShared = this.#parts.store.relay !== undefined && !items.isPart;
    const isStored = isShared && (await this.#store(lookup, entry, calledAt));
    return { entry, outcome: isStored ? storedAs(entry) : unstored(answer) };
  }

  /** Stores the entry, and returns whether the store accepted it. Never rejects. */
  async #store({ key, tally }: Lookup, entry: CachedResponse, calledAt: number): Promise<boolean> {
    const { store, settings, timings, faults } = this.#parts;
    const startedAt = performance.now();
    try {
      if (await store.set(key, entry, calledAt)) return true;
      tally.countNotStored('too-large');
    } catch (error) {
      tally.countNotStored('store-error');
      faults.report('llm-cache: an answer could not be stored', error);
    } finally {
      timings.store(settings.store, (performance.now() - startedAt) / 1000);
    }
    return false;
  }

  async #entry(
    lookup: Lookup,
    call: Call,
    answer: Answer,
    body: Uint8Array,
  ): Promise<CachedResponse> {
    const { settings } = this.#parts;
    const { controls, request } = lookup;
    const ttl = controls.ttl === null ? settings.ttl : Math.min(controls.ttl, settings.maxTtl);
    const storedAt = this.#parts.now();
    const freshUntil = Math.min(storedAt + ttl * 1000, answer.expiresAt ?? Infinity);
    return {
      namespace: lookup.material.namespace,
      protocol: request.protocol.name,
      model: answer.model,
      requestedModel: lookup.facts.model,
      consumer: call.consumer,
      stream: lookup.material.isStream,
      responseId: answer.id,
      usage: answer.usage,
      fingerprint: await call.fingerprint(),
      headers: answer.headers,
      storedAt,
      freshUntil,
      expiresAt: freshUntil + Math.max(graceMs, settings.staleIfError * 1000),
      body,
    };
  }
}

function storedAs({ storedAt }: CachedResponse): CallOutcome {
  return { kind: 'stored', storedAt };
}

/** The gateways that read along already have all of a stream that reached its end. */
function unstored({ status, headers, fault }: Answer): CallOutcome {
  const isStream = status === 200 && formatOf(headers['content-type']) === 'sse';
  const isBroken = fault === 'aborted' || fault === 'client-left';
  return { kind: isStream && !isBroken ? 'whole' : 'failed' };
}
