import type { Fingerprint } from '../../llm-cache/fingerprint.ts';
import type { OutcomeName } from '../../llm-cache/stats.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';
import type { LlmRequest } from '../../shared/exchange.ts';
import type { AsideReason, RefusalReason } from '../../shared/reasons.ts';

const maxTextLength = 256;

/** `pass`: no step of the cache took it. `left`: its client left before it had an outcome. */
export type NotedOutcome = OutcomeName | 'pass' | 'left';

/** A note about a request for the dashboard: names and numbers, but no content. */
export class RecentRequest {
  /** Unique in this process. */
  readonly number: number;
  /** When the request arrived, in milliseconds since the epoch. */
  readonly at = Date.now();
  readonly pipeline: string;
  readonly apiEndpoint: string | null;
  readonly requestId: string | null;
  readonly protocol: string;
  outcome: NotedOutcome;
  reason: AsideReason | null = null;
  /** Why the answer was not stored. */
  notStored: RefusalReason | null = null;
  /** Whether its key had an expired entry. */
  expired = false;
  key: string | null = null;
  /** The name of the store that its entry belongs to. */
  store: string | null = null;
  /** What distinguishes a miss from the stored requests. */
  fingerprint: Fingerprint | null = null;
  model: string | null = null;
  requestedModel: string | null = null;
  consumer: string | null = null;
  /** Whether it asked for a stream; null if its body was not read. */
  stream: boolean | null = null;
  status = 0;
  /** Whether the provider bills it. */
  billed = false;
  inputTokens: number | null = null;
  outputTokens: number | null = null;
  totalTokens: number | null = null;
  /** In USD: what it cost or, if the cache answered, would have cost. */
  cost: number | null = null;
  durationMs = 0;

  constructor(number: number, request: Noted, pipeline: string, outcome: NotedOutcome) {
    this.number = number;
    this.pipeline = pipeline;
    this.apiEndpoint = request.apiEndpoint;
    this.requestId = truncate(request.requestId);
    this.protocol = request.protocol.name;
    this.outcome = outcome;
  }

  /** Whether the cache answered. */
  get isServed(): boolean {
    const { outcome } = this;
    return outcome === 'hit' || outcome === 'coalesced' || outcome === 'stale';
  }

  /** Adds the facts of the usage record. */
  addUsage(record: UsageRecord): void {
    this.model = truncate(record.model);
    this.requestedModel = truncate(record.requested_model);
    this.consumer = truncate(record.consumer_id);
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

/** A request and its note, which all policies share. */
export interface Noted extends Pick<LlmRequest, 'apiEndpoint' | 'requestId' | 'protocol'> {
  note: RecentRequest | null;
}

function truncate<T extends string | null>(text: T): T | string {
  return text !== null && text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
}
