import type { Decision } from '../../llm-cache/decision.ts';
import type { Flight } from '../../llm-cache/flight.ts';
import type { Counts, OutcomeName } from '../../llm-cache/stats.ts';
import type { AnswerFacts } from '../../shared/answer.ts';
import type { Digest } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { consumerId } from '../../shared/identity/identity.ts';
import type { AsideReason, RefusalReason } from '../../shared/reasons.ts';
import type { NodeExchange } from './exchange.ts';
import type { RecentRequest } from './recent-request.ts';
import type { RecentRequests } from './recent-requests.ts';

/** The services that a diary uses. */
export interface DiaryServices {
  readonly requests: RecentRequests;
  readonly digest: Digest;
  readonly faults: FaultLog;
}

/** Counts a request, and notes for the dashboard what the cache does with it. */
export class CacheDiary implements Counts {
  readonly pipeline: string;
  readonly protocol: Counts['protocol'];
  readonly #counts: Counts;
  readonly #note: RecentRequest;
  readonly #exchange: NodeExchange;
  readonly #services: DiaryServices;
  #call: Flight | null = null;

  /** Returns null if no requests are kept. `startedAt` is a time of `performance.now()`. */
  static open(
    at: { readonly exchange: NodeExchange; readonly counts: Counts; readonly startedAt: number },
    services: DiaryServices,
  ): CacheDiary | null {
    const { exchange, counts, startedAt } = at;
    // If llm-usage stands before llm-cache, it has created the note and keeps it.
    const hasRecorder = exchange.note !== null;
    const note = services.requests.begin(exchange, counts.pipeline, 'left');
    if (note === null) return null;
    const diary = new CacheDiary(counts, note, exchange, services);
    exchange.whenOver(() => diary.#finish(hasRecorder, startedAt));
    return diary;
  }

  private constructor(
    counts: Counts,
    note: RecentRequest,
    exchange: NodeExchange,
    services: DiaryServices,
  ) {
    this.pipeline = counts.pipeline;
    this.protocol = counts.protocol;
    this.#counts = counts;
    this.#note = note;
    this.#exchange = exchange;
    this.#services = services;
    note.outcome = 'left';
  }

  count(outcome: OutcomeName, reason: AsideReason | null): void {
    this.#note.outcome = outcome;
    this.#note.reason = reason;
    this.#counts.count(outcome, reason);
  }

  countNotStored(reason: RefusalReason): void {
    this.#note.notStored = reason;
    this.#counts.countNotStored(reason);
  }

  countSlowReader(): void {
    this.#note.reason = 'slow-reader';
    this.#counts.countSlowReader();
  }

  /** Notes the decision, and the store that the answer belongs to. */
  decided(decision: Decision, store: string): void {
    this.#note.store = store;
    this.#note.key = 'key' in decision ? decision.key : null;
    this.#note.expired = decision.kind === 'stale';
    this.#call = 'fallback' in decision ? decision.flight : null;
  }

  #finish(hasRecorder: boolean, startedAt: number): void {
    const note = this.#note;
    this.#keepFingerprint();
    if (hasRecorder) return;
    note.status = this.#exchange.status;
    note.durationMs = Math.round(performance.now() - startedAt);
    this.#noteAnswer();
    this.#services.requests.keep(note);
  }

  /** The dashboard explains only requests that the cache did not answer. */
  #keepFingerprint(): void {
    const made = this.#note.isServed ? undefined : this.#call?.fingerprint();
    made?.then(
      (fingerprint) => (this.#note.fingerprint = fingerprint),
      (error: unknown) =>
        this.#services.faults.report(
          'llm-cache: a request could not be added to the recent requests',
          error,
        ),
    );
  }

  /** Notes what is known of an answer without a usage record. */
  #noteAnswer(): void {
    const { answer, providerStatus, cacheType } = this.#exchange;
    const note = this.#note;
    try {
      note.consumer = consumerId(this.#exchange.identity, this.#services.digest);
    } catch (error) {
      this.#services.faults.report('llm-cache: a consumer could not be identified', error);
    }
    const isSuccess = providerStatus !== null && providerStatus >= 200 && providerStatus < 300;
    note.billed = cacheType === null && isSuccess;
    const take = ({ model, usage }: AnswerFacts) => {
      note.model = model;
      note.inputTokens = usage?.inputTokens ?? null;
      note.outputTokens = usage?.outputTokens ?? null;
      note.totalTokens = usage?.totalTokens ?? null;
    };
    if (answer === null) return;
    if ('whenRead' in answer) answer.whenRead(take);
    else take(answer);
  }
}
