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
  /** Runs a step soon, when the answers of this moment are out. */
  readonly defer: (step: () => void) => void;
  /** Is told of a record that waits for the end of its answer. */
  readonly pending?: (record: Promise<void>) => void;
}

/** When and in which trace a request arrived. */
export interface Arrival {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** The same moment by `performance.now()`: a clock that is set meanwhile changes no duration. */
  readonly startedRunning: number;
  /** The OpenTelemetry context. */
  readonly parent: Context;
}

/**
 * Makes one record per request, including cache hits, and two where the provider answered a part of
 * it: the one place where records are made.
 */
export class Recorder {
  readonly #parts: RecorderParts;
  readonly #telemetry = new Telemetry();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /** Call it when a request arrives. */
  arrive(): Arrival {
    const parent = this.#telemetry.parent();
    return { startedAt: Date.now(), startedRunning: performance.now(), parent };
  }

  /**
   * Makes the record of an exchange once its answer is known, and calls `then` with it when it has
   * been taken; with null where none could be made. Call it when the response is over. `read` is what is known of the request's body, null where it could not be held. Never throws.
   */
  record(
    exchange: Exchange,
    arrival: Arrival,
    read: BodyFacts | null,
    then: (record: UsageRecord | null) => void = () => {},
  ): void {
    // A client may leave an answer that goes on: its status is known now, the answer later.
    const { status } = exchange;
    const endedAt = arrival.startedAt + performance.now() - arrival.startedRunning;
    // Spread, the members behind would be defined one by one, at run time.
    const { startedAt, parent } = arrival;
    const over: Over = { startedAt, parent, read, endedAt, status };
    const take = (facts: AnswerFacts | null) => {
      this.#parts.defer(() => this.#take(exchange, over, facts, then));
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
    over: Over,
    facts: AnswerFacts | null,
    then: (record: UsageRecord | null) => void,
  ): void {
    let record: UsageRecord | null = null;
    let taken: void | Promise<void> = undefined;
    try {
      const { cacheType, saved } = exchange;
      record = this.#recordOf(exchange, over, { facts, cacheType });
      this.#trace(record, exchange, over);
      taken = this.#parts.record(record);
      if (saved !== null) {
        // What the provider was not asked for, since it was stored.
        const rest = this.#recordOf(exchange, over, { facts: saved, cacheType: 'exact' });
        taken = Promise.all([taken, this.#parts.record(rest)]).then(() => {});
      }
    } catch (error) {
      this.#failed(error);
    }
    if (taken === undefined) return this.#tell(then, record);
    void Promise.resolve(taken)
      .catch((error: unknown) => this.#failed(error))
      .then(() => this.#tell(then, record));
  }

  /** What is thrown there keeps no other record of the same turn from being made. */
  #tell(then: (record: UsageRecord | null) => void, record: UsageRecord | null): void {
    try {
      then(record);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#parts.faults.report('llm-usage: a request could not be recorded', error);
  }

  /** An SDK that fails costs its span, and no record. */
  #trace(record: UsageRecord, { request }: Exchange, over: Over): void {
    try {
      this.#telemetry.report(record, request.protocol.name, over);
    } catch (error) {
      this.#parts.faults.report('llm-usage: a span could not be made', error);
    }
  }

  #recordOf(
    { request, cacheKey, providerStatus }: Exchange,
    { read, startedAt, endedAt, status }: Over,
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

  /** Null, too, where the application fails to tell: a record without a consumer is better than none. */
  #consumerOf(request: LlmRequest): string | null {
    const { digest, faults } = this.#parts;
    try {
      return consumerId(request.identity, digest);
    } catch (error) {
      faults.report('llm-usage: a consumer could not be told', error);
      return null;
    }
  }
}

function isPending(answer: AnswerFacts | PendingAnswer): answer is PendingAnswer {
  return 'whenRead' in answer;
}

/** An exchange whose response is over. */
interface Over extends Pick<Arrival, 'startedAt' | 'parent'> {
  readonly read: BodyFacts | null;
  readonly endedAt: number;
  readonly status: number;
}
