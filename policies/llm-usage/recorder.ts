import type { Context } from '@opentelemetry/api';
import { consumerId } from '../shared/identity/identity.ts';
import type { AnswerFacts, PendingAnswer } from '../shared/answer.ts';
import type { Digest, Exchange, LlmRequest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { PriceList } from './price-list.ts';
import { type RecordParts, usageRecord } from './record.ts';
import { Telemetry } from './telemetry.ts';
import type { UsageRecord } from './usage-record.ts';

export interface RecorderParts {
  /** Takes a finished record: the sinks and the ledger, or an application's own function. */
  readonly record: (record: UsageRecord) => void | Promise<void>;
  /** The provider's name in the records; null for the protocol's own. */
  readonly provider: string | null;
  readonly prices: PriceList;
  readonly digest: Digest;
  readonly faults: FaultLog;
  /** Runs a step soon, after the responses of this turn are out. */
  readonly defer: (step: () => void) => void;
  /** Called with the promise of each record that waits for the end of its answer. */
  readonly pending?: (record: Promise<void>) => void;
}

/** The time and the trace of a request's arrival. */
export interface Arrival {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The same moment by `performance.now()`, so that setting the clock changes no duration. */
  readonly startedRunning: number;
  /** The OpenTelemetry context. */
  readonly parent: Context;
}

/**
 * Makes one record per request, including cache hits, and two if the provider answered only a part
 * of it. No other code makes records.
 */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #telemetry = new Telemetry();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /** Notes the arrival of a request; call it at once. */
  arrive(): Arrival {
    const parent = this.#telemetry.parent();
    return { startedAt: Date.now(), startedRunning: performance.now(), parent };
  }

  /**
   * Makes the record of an exchange once its answer is known. Call it when the response is over.
   * `read` holds the facts of the request's body, or null if the body could not be held. Calls
   * `then` after the record was handed over, with null if no record could be made. Never throws.
   */
  record(
    exchange: Exchange,
    arrival: Arrival,
    read: BodyFacts | null,
    then: (record: UsageRecord | null) => void = () => {},
  ): void {
    // A client may leave before the answer ends: the status is final now, the answer is not.
    const { status } = exchange;
    const endedAt = arrival.startedAt + performance.now() - arrival.startedRunning;
    // Not spread from `arrival`: V8 would define the members after a spread one by one.
    const { startedAt, parent } = arrival;
    const finished: FinishedExchange = { startedAt, parent, read, endedAt, status };
    const take = (facts: AnswerFacts | null) => {
      this.#parts.defer(() => this.#take(exchange, finished, facts, then));
    };
    const { answer } = exchange;
    if (answer === null || !isPending(answer)) return take(answer);
    if (answer.answer !== null) return take(answer.answer);
    const pending = new Promise<void>((resolve) => {
      answer.whenRead((facts) => {
        take(facts);
        resolve();
      });
    });
    this.#parts.pending?.(pending);
  }

  /** Never throws or rejects. */
  #take(
    exchange: Exchange,
    finished: FinishedExchange,
    facts: AnswerFacts | null,
    then: (record: UsageRecord | null) => void,
  ): void {
    let record: UsageRecord | null = null;
    let taken: void | Promise<void> = undefined;
    try {
      const { cacheType, saved } = exchange;
      record = this.#recordOf(exchange, finished, { facts, cacheType });
      this.#trace(record, exchange, finished);
      taken = this.#parts.record(record);
      if (saved !== null) {
        // The stored part, which the provider was not asked for.
        const rest = this.#recordOf(exchange, finished, { facts: saved, cacheType: 'exact' });
        taken = Promise.all([taken, this.#parts.record(rest)]).then(() => {});
      }
    } catch (error) {
      this.#failed(error);
    }
    if (taken === undefined) return this.#notify(then, record);
    void Promise.resolve(taken)
      .catch((error: unknown) => this.#failed(error))
      .then(() => this.#notify(then, record));
  }

  /** Catches what `then` throws, so that the turn's other records are still made. */
  #notify(then: (record: UsageRecord | null) => void, record: UsageRecord | null): void {
    try {
      then(record);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#parts.faults.report('llm-usage: a request could not be recorded', error);
  }

  /** Catches the errors of a failing SDK: they cost the span but not the record. */
  #trace(record: UsageRecord, { request }: Exchange, finished: FinishedExchange): void {
    try {
      this.#telemetry.report(record, request.protocol.name, finished);
    } catch (error) {
      this.#parts.faults.report('llm-usage: a span could not be made', error);
    }
  }

  #recordOf(
    { request, cacheKey, providerStatus }: Exchange,
    { read, startedAt, endedAt, status }: FinishedExchange,
    { facts, cacheType }: Pick<RecordParts, 'facts' | 'cacheType'>,
  ): UsageRecord {
    const { provider, prices } = this.#parts;
    const { protocol } = request;
    return usageRecord(
      {
        id: crypto.randomUUID(),
        startedAt,
        endedAt,
        requestId: request.requestId,
        provider: provider ?? protocol.provider,
        requestedModel: read?.model ?? null,
        path: request.path,
        apiEndpoint: request.apiEndpoint,
        consumerId: this.#consumerOf(request),
        stream: read?.isStream ?? false,
        status,
        cacheType,
        cacheKey,
        providerStatus,
        facts,
        cacheApart: protocol.cacheApart,
        isFreeUncounted: protocol.isFreeUncounted ?? false,
      },
      (priced) => prices.find(priced),
    );
  }

  /**
   * Returns null also if the application fails to say: a record without a consumer is better than
   * none.
   */
  #consumerOf(request: LlmRequest): string | null {
    const { digest, faults } = this.#parts;
    try {
      return consumerId(request.identity, digest);
    } catch (error) {
      faults.report('llm-usage: a consumer could not be identified', error);
      return null;
    }
  }
}

function isPending(answer: AnswerFacts | PendingAnswer): answer is PendingAnswer {
  return 'whenRead' in answer;
}

/** An exchange whose response is over. */
interface FinishedExchange extends Pick<Arrival, 'startedAt' | 'parent'> {
  readonly read: BodyFacts | null;
  readonly endedAt: number;
  readonly status: number;
}
