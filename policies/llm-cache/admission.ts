import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Answer } from '../shared/answer.ts';
import type { FaultLog } from '../shared/faults.ts';
import { formatOf } from '../shared/format.ts';
import type { CachedResponse } from './entry.ts';
import type { Flight } from './flight.ts';
import type { Lookup } from './lookup.ts';
import { refusalOf } from './response-rules.ts';
import type { CallOutcome } from './stores/relay.ts';
import type { EntryStore } from './stores/store.ts';
import type { Timings } from './timings.ts';

/** Grace period: an expired entry is kept for so long at least, to distinguish expired from never stored. */
const graceMs = 60_000;

export interface AdmissionParts {
  readonly store: EntryStore;
  readonly settings: LlmCacheSettings;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

export interface Admitted {
  /** Null where the answer may not be shared. */
  readonly entry: CachedResponse | null;
  /** What other gateways are told. */
  readonly outcome: CallOutcome;
}

type Call = Pick<Flight, 'startedAt' | 'consumer' | 'fingerprint'>;

/** Decides which answers may be stored, and stores them. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Stores the answer to a call where it may be stored. Never rejects. */
  async admit(lookup: Lookup, answer: Answer, call: Call): Promise<Admitted> {
    const { faults } = this.#parts;
    const { request, tally } = lookup;
    const reason = refusalOf(answer, request.protocol, lookup.facts);
    if (reason !== null || answer.body === null) {
      tally.countNotStored(reason ?? 'no-body');
      return { entry: null, outcome: unstored(answer) };
    }
    const entry = await this.#entry(lookup, call, answer, answer.body);
    if (entry.freshUntil <= entry.storedAt) {
      tally.countNotStored('expired');
      return { entry: null, outcome: unstored(answer) };
    }
    try {
      if (await this.#store(lookup.key, entry, call.startedAt)) {
        return { entry, outcome: { kind: 'stored', storedAt: entry.storedAt } };
      }
      tally.countNotStored('too-large');
    } catch (error) {
      tally.countNotStored('store-error');
      faults.report('llm-cache: an answer could not be stored', error);
    }
    return { entry, outcome: unstored(answer) };
  }

  async #store(key: string, entry: CachedResponse, askedAt: number): Promise<boolean> {
    const { store, settings, timings } = this.#parts;
    const startedAt = performance.now();
    try {
      return await store.set(key, entry, askedAt);
    } finally {
      timings.store(settings.store, (performance.now() - startedAt) / 1000);
    }
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

/** Of a stream that came to its end, whatever it said, who reads along has all. */
function unstored({ status, headers, fault }: Answer): CallOutcome {
  const isStream = status === 200 && formatOf(headers['content-type']) === 'sse';
  const isBroken = fault === 'aborted' || fault === 'client-left';
  return { kind: isStream && !isBroken ? 'whole' : 'failed' };
}
