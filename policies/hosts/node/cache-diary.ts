import type { Decision } from '../../llm-cache/decision.ts';
import type { Counts } from '../../llm-cache/stats.ts';
import type { AnswerFacts } from '../../shared/answer.ts';
import type { Digest } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { consumerId } from '../../shared/identity/identity.ts';
import type { AppRequest } from './app-request.ts';
import type { NodeExchange } from './exchange.ts';
import {
  arrivedAs,
  isServedOutcome,
  NotedCounts,
  type RecentRequest,
  type RecentRequests,
} from './recent-requests.ts';

export interface DiaryServices {
  readonly requests: RecentRequests;
  readonly digest: Digest;
  readonly faults: FaultLog;
}

interface AtTheCache {
  readonly req: AppRequest;
  readonly exchange: NodeExchange;
  readonly counts: Counts;
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** The name of the step's store. */
  readonly store: string;
}

/** Writes down what the cache does with a request. */
export interface CacheDiary {
  /** Where the request is counted. */
  readonly counts: Counts;
  decided(decision: Decision): void;
}

/** Null where no requests are kept. */
export function openDiary(at: AtTheCache, services: DiaryServices): CacheDiary | null {
  const { req, exchange, counts, startedAt, store } = at;
  const { requests, faults } = services;
  let isRecorded = true;
  const note = requests.of(req, () => {
    // No llm-usage stands before it.
    isRecorded = false;
    return { ...arrivedAs(exchange, counts.pipeline), outcome: 'left' };
  });
  if (note === null) return null;
  note.outcome = 'left';
  note.store = store;
  exchange.whenOver(() => {
    note.status = exchange.status;
    note.durationMs = Math.round(performance.now() - startedAt);
    if (isRecorded) return;
    noteAnswer(note, exchange, services);
    requests.keep(req);
  });
  return {
    counts: new NotedCounts(counts, note),
    decided: (decision) => {
      note.key = 'key' in decision ? decision.key : null;
      note.expired = decision.kind === 'stale';
      if (!('fingerprint' in decision) || decision.fingerprint === null) return;
      const { fingerprint } = decision;
      // Only a miss is asked why it was none; and not before its call has been made.
      exchange.whenOver(() => {
        if (isServedOutcome(note.outcome)) return;
        fingerprint().then(
          (made) => (note.fingerprint = made),
          (error: unknown) => faults.report('llm-cache: a request could not be noted', error),
        );
      });
    },
  };
}

/** What is known of an answer without the books. */
function noteAnswer(
  note: RecentRequest,
  exchange: NodeExchange,
  { digest, faults }: DiaryServices,
): void {
  try {
    note.consumer = consumerId(exchange.identity, digest);
  } catch (error) {
    faults.report('llm-cache: a consumer could not be told', error);
  }
  const { answer, providerStatus, cacheType } = exchange;
  note.billed =
    cacheType === null && providerStatus !== null && providerStatus >= 200 && providerStatus < 300;
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
