import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { AnswerWatch, type WatchedAnswer } from '../shared/answer-watch.ts';
import type { ByteBudget } from '../shared/budget.ts';
import { consumerId } from '../shared/consumer.ts';
import type { Digest, Exchange, LlmRequest, ResponseObserver } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { nameOrNull } from '../shared/json.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { RequestBody } from '../shared/request-body.ts';
import { type ClientControls, noControls, readControls } from './client-controls.ts';
import type { CachedResponse } from './entry.ts';
import { cacheKey } from './key.ts';
import {
  asideByBody,
  asideByControls,
  freshAlways,
  isClientsWish,
  isTooOld,
} from './request-rules.ts';
import { refusalOf } from './response-rules.ts';
import { scopeOf } from './scope.ts';
import type { CacheStats } from './stats.ts';
import type { Store } from './stores/store.ts';

/** What is to be done with a request. */
export type Decision = Hit | Forward | Unavailable | Gone;

/** Answer it from `entry`; `age` and `ttl` in whole seconds. */
export interface Hit {
  readonly kind: 'hit';
  readonly key: string;
  readonly entry: CachedResponse;
  readonly age: number;
  readonly ttl: number;
}

/** Let it go on to the upstream, and let `capture`, where there is one, see the answer. */
export interface Forward {
  readonly kind: 'miss' | 'stale' | 'request' | 'bypass';
  readonly reason: AsideReason | null;
  readonly key: string | null;
  readonly capture: ResponseObserver | null;
}

/** Answer 504: the client wants a stored answer or none, and none serves. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly key: string | null;
}

/** Do nothing: the client left before its request was whole. */
export interface Gone {
  readonly kind: 'gone';
}

export interface EngineParts {
  readonly store: Store;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  readonly stats: CacheStats;
  readonly faults: FaultLog;
  readonly now: () => number;
}

/** An expired entry is kept for so long, to tell an expired answer from one that never was. */
const graceMs = 60_000;

interface Lookup {
  readonly key: string;
  readonly body: RequestBody;
  readonly controls: ClientControls;
}

/** The story of a request: recv, key, lookup, then hit or forward; capture, admit, store. */
export class Engine {
  readonly #parts: EngineParts;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  /** Never rejects: a fault in here is a bypass, counted and logged. */
  async decide(exchange: Exchange, pipeline: string): Promise<Decision> {
    const { settings, stats, faults } = this.#parts;
    const controls = settings.clientControls
      ? readControls((name) => exchange.request.header(name))
      : noControls;
    let decision: Decision;
    try {
      decision = await this.#receive(exchange, pipeline, controls);
    } catch (error) {
      faults.report('llm-cache: the cache failed', error);
      decision = aside('store-error');
    }
    if (decision.kind === 'gone') return decision;
    if (decision.kind === 'hit') {
      stats.count(pipeline, 'hit', null);
      return decision;
    }
    if (decision.kind !== 'unavailable' && controls.onlyIfCached && controls.bypass === null) {
      decision = { kind: 'unavailable', key: decision.key };
    }
    if (decision.kind === 'unavailable') stats.count(pipeline, 'miss', 'only-if-cached');
    else stats.count(pipeline, decision.kind, decision.reason);
    return decision;
  }

  async #receive(
    exchange: Exchange,
    pipeline: string,
    controls: ClientControls,
  ): Promise<Decision> {
    const { settings, digest } = this.#parts;
    const { request } = exchange;
    const byControls = asideByControls(controls);
    if (byControls !== null) return aside(byControls);

    const body = await request.body(settings.maxRequestBytes);
    if (body === 'gone') return { kind: 'gone' };
    if (typeof body === 'string') return aside(body);
    const byBody = asideByBody(body, request.protocol);
    if (byBody !== null) return aside(byBody);

    const scope = scopeOf(request, settings, digest);
    if (scope === null) return aside('no-scope');
    const key = cacheKey(request, body, scope, settings, digest);
    return this.#lookup(exchange, pipeline, { key, body, controls });
  }

  async #lookup(exchange: Exchange, pipeline: string, lookup: Lookup): Promise<Decision> {
    const { key, controls } = lookup;
    const forward = (kind: Forward['kind'], reason: AsideReason | null): Forward => ({
      kind,
      reason,
      key,
      capture: this.#capture(exchange, pipeline, lookup),
    });

    const always = freshAlways(controls);
    if (always !== null) return forward('request', always);

    const entry = await this.#parts.store.get(key);
    if (entry === undefined) return forward('miss', null);
    const now = this.#parts.now();
    if (now >= entry.freshUntil) return forward('stale', null);
    if (isTooOld(controls, entry, now)) return forward('request', 'max-age');

    const age = Math.max(0, Math.floor((now - entry.storedAt) / 1000));
    const ttl = Math.round((entry.freshUntil - entry.storedAt) / 1000) - age;
    return { kind: 'hit', key, entry, age, ttl };
  }

  #capture(exchange: Exchange, pipeline: string, lookup: Lookup): ResponseObserver {
    const { settings, budget } = this.#parts;
    const watch = new AnswerWatch(exchange, {
      keep: true,
      maxBytes: settings.maxResponseBytes,
      budget,
    });
    void watch.finished.then((seen) => this.#admit(exchange.request, pipeline, lookup, seen));
    return watch;
  }

  async #admit(
    request: LlmRequest,
    pipeline: string,
    lookup: Lookup,
    seen: WatchedAnswer,
  ): Promise<void> {
    const { store, stats, faults } = this.#parts;
    const { answer } = seen;
    const reason = refusalOf(seen.status, answer, request.protocol, lookup.body);
    if (reason !== null || answer.body === null) {
      stats.notStored(pipeline, reason ?? 'no-body');
      return;
    }
    try {
      const entry = this.#entry(request, lookup, seen, answer.body);
      if (!(await store.set(lookup.key, entry))) stats.notStored(pipeline, 'too-large');
    } catch (error) {
      stats.notStored(pipeline, 'store-error');
      faults.report('llm-cache: an answer could not be stored', error);
    }
  }

  #entry(
    request: LlmRequest,
    lookup: Lookup,
    seen: WatchedAnswer,
    body: Uint8Array,
  ): CachedResponse {
    const { settings, digest } = this.#parts;
    const { controls } = lookup;
    const ttl = controls.ttl === null ? settings.ttl : Math.min(controls.ttl, settings.maxTtl);
    const storedAt = this.#parts.now();
    const freshUntil = storedAt + ttl * 1000;
    return {
      namespace: settings.namespace ?? request.apiEndpoint ?? 'default',
      protocol: request.protocol.name,
      model: seen.answer.model,
      requestedModel: nameOrNull(lookup.body.json['model']),
      consumer: consumerId(request.consumer, digest),
      stream: request.protocol.isStream(lookup.body.json),
      responseId: seen.answer.id,
      usage: seen.answer.usage,
      headers: seen.headers,
      storedAt,
      freshUntil,
      expiresAt: freshUntil + graceMs,
      body,
    };
  }
}

function aside(reason: AsideReason): Forward {
  return { kind: isClientsWish(reason) ? 'request' : 'bypass', reason, key: null, capture: null };
}
