import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { WatchedAnswer } from '../shared/answer-watch.ts';
import type { Digest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { formatOf } from '../shared/format.ts';
import type { CachedResponse } from './entry.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Flight } from './flight.ts';
import type { Lookup } from './lookup.ts';
import { refusalOf } from './response-rules.ts';
import type { CallOutcome } from './stores/relay.ts';
import type { EntryStore } from './stores/store.ts';
import type { Timings } from './timings.ts';

/** An expired entry is kept for so long at least, to tell an expired answer from one that never was. */
const graceMs = 60_000;

export interface AdmissionParts {
  readonly store: EntryStore;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

export interface Conclusion {
  /** Null where the answer may not be shared. */
  readonly entry: CachedResponse | null;
  /** What other gateways are told. */
  readonly outcome: CallOutcome;
}

/** Judges answers when they have ended, and stores those that may be. */
export class Admission {
  readonly #parts: AdmissionParts;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** What was made of the flight's answer. Never rejects. */
  async conclude(lookup: Lookup, flight: Flight): Promise<Conclusion> {
    const { faults } = this.#parts;
    const { request, tally } = lookup;
    const seen = await flight.finished;
    const { protocol } = request;
    const format = formatOf(seen.headers['content-type']);
    const reason = refusalOf(seen.status, format, seen.answer, protocol, lookup.facts);
    if (reason !== null || seen.answer.body === null) {
      tally.countNotStored(reason ?? 'no-body');
      return { entry: null, outcome: unstored(seen) };
    }
    const entry = await this.#entry(lookup, seen, seen.answer.body);
    if (entry.freshUntil <= entry.storedAt) {
      tally.countNotStored('expired');
      return { entry: null, outcome: unstored(seen) };
    }
    try {
      if (await this.#store(lookup.key, entry, flight.startedAt)) {
        return { entry, outcome: { kind: 'stored', storedAt: entry.storedAt } };
      }
      tally.countNotStored('too-large');
    } catch (error) {
      tally.countNotStored('store-error');
      faults.report('llm-cache: an answer could not be stored', error);
    }
    return { entry, outcome: unstored(seen) };
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

  async #entry(lookup: Lookup, seen: WatchedAnswer, body: Uint8Array): Promise<CachedResponse> {
    const { settings, digest } = this.#parts;
    const { controls, request } = lookup;
    const ttl = controls.ttl === null ? settings.ttl : Math.min(controls.ttl, settings.maxTtl);
    const storedAt = this.#parts.now();
    const freshUntil = Math.min(storedAt + ttl * 1000, seen.answer.expiresAt ?? Infinity);
    return {
      namespace: lookup.material.namespace,
      protocol: request.protocol.name,
      model: seen.answer.model,
      requestedModel: lookup.facts.model,
      consumer: lookup.consumer,
      stream: lookup.material.isStream,
      responseId: seen.answer.id,
      usage: seen.answer.usage,
      fingerprint: fingerprintOf(lookup.material, await lookup.material.counting, digest),
      headers: seen.headers,
      storedAt,
      freshUntil,
      expiresAt: freshUntil + Math.max(graceMs, settings.staleIfError * 1000),
      body,
    };
  }
}

/** Of a stream that came to its end, whatever it said, who reads along has all. */
function unstored({ status, headers, answer }: WatchedAnswer): CallOutcome {
  const isStream = status === 200 && formatOf(headers['content-type']) === 'sse';
  const isBroken = answer.fault === 'aborted' || answer.fault === 'client-left';
  return { kind: isStream && !isBroken ? 'whole' : 'failed' };
}
