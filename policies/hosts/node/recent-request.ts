import type { Fingerprint } from '../../llm-cache/fingerprint.ts';
import type { OutcomeName } from '../../llm-cache/stats.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';
import type { LlmRequest } from '../../shared/exchange.ts';
import type { AsideReason, RefusalReason } from '../../shared/reasons.ts';

const maxTextLength = 256;

/** `pass` where no step of the cache took it, `left` where its client left before there was one. */
export type NotedOutcome = OutcomeName | 'pass' | 'left';

/** What is remembered of a request: names and numbers, and nothing of what it says. */
export class RecentRequest {
  /** Tells it from others of this process. */
  readonly number: number;
  /** When it came, in milliseconds since the epoch. */
  readonly at = Date.now();
  readonly pipeline: string;
  readonly apiEndpoint: string | null;
  readonly requestId: string | null;
  readonly protocol: string;
  outcome: NotedOutcome;
  reason: AsideReason | null = null;
  /** Why its answer was not stored. */
  notStored: RefusalReason | null = null;
  /** Whether there was an entry under its key that had expired. */
  expired = false;
  key: string | null = null;
  /** The store that its entry would be in. */
  store: string | null = null;
  /** Of a miss: what tells it from the stored ones. */
  fingerprint: Fingerprint | null = null;
  model: string | null = null;
  requestedModel: string | null = null;
  consumer: string | null = null;
  /** Null where nothing was read of its body. */
  stream: boolean | null = null;
  status = 0;
  /** Whether the provider charged for it. */
  billed = false;
  inputTokens: number | null = null;
  outputTokens: number | null = null;
  totalTokens: number | null = null;
  /** USD: what it cost or, where the cache answered, would have cost. */
  cost: number | null = null;
  durationMs = 0;

  constructor(number: number, request: Noted, pipeline: string, outcome: NotedOutcome) {
    this.number = number;
    this.pipeline = pipeline;
    this.apiEndpoint = request.apiEndpoint;
    this.requestId = cut(request.requestId);
    this.protocol = request.protocol.name;
    this.outcome = outcome;
  }

  /** Whether the cache answered itself. */
  get isServed(): boolean {
    const { outcome } = this;
    return outcome === 'hit' || outcome === 'coalesced' || outcome === 'stale';
  }

  /** Takes what the books say of it. */
  take(record: UsageRecord): void {
    this.model = cut(record.model);
    this.requestedModel = cut(record.requested_model);
    this.consumer = cut(record.consumer_id);
    this.stream = record.stream;
    this.status = record.status;
    this.billed = record.billed;
    this.inputTokens = record.input_tokens;
    this.outputTokens = record.output_tokens;
    this.totalTokens = record.total_tokens;
    this.cost = record.total_cost;
    this.durationMs = record.duration_ms;
  }
}

/** A request, and the place for its note, which all policies that see it share. */
export interface Noted extends Pick<LlmRequest, 'apiEndpoint' | 'requestId' | 'protocol'> {
  note: RecentRequest | null;
}

function cut<T extends string | null>(text: T): T | string {
  return text !== null && text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
}
