import type { Fingerprint } from '../../llm-cache/fingerprint.ts';
import type { Counts, OutcomeName } from '../../llm-cache/stats.ts';
import type { UsageRecord } from '../../llm-usage/usage-record.ts';
import type { LlmRequest } from '../../shared/exchange.ts';
import type { AsideReason, RefusalReason } from '../../shared/reasons.ts';
import { Ring } from '../../shared/ring.ts';

/** What is remembered of a request: names and numbers, and nothing of what it says. */
export interface RecentRequest {
  /** Tells it from others of this process. */
  readonly id: string;
  /** When it came, in milliseconds since the epoch. */
  readonly at: number;
  readonly pipeline: string;
  readonly apiEndpoint: string | null;
  readonly requestId: string | null;
  readonly protocol: string;
  /** `pass` where no step of the cache took it, `left` where its client left before there was one. */
  outcome: OutcomeName | 'pass' | 'left';
  reason: AsideReason | null;
  /** Why its answer was not stored. */
  notStored: RefusalReason | null;
  /** Whether there was an entry under its key that had expired. */
  expired: boolean;
  key: string | null;
  /** The store that its entry would be in. */
  store: string | null;
  /** Of a miss: what tells it from the stored ones. */
  fingerprint: Fingerprint | null;
  model: string | null;
  requestedModel: string | null;
  consumer: string | null;
  /** Null where nothing was read of its body. */
  stream: boolean | null;
  status: number;
  /** Whether the provider charged for it. */
  billed: boolean;
  inputTokens: number | null;
  outputTokens: number | null;
  totalTokens: number | null;
  /** USD: what it cost or, where the cache answered, would have cost. */
  cost: number | null;
  durationMs: number;
}

/** What is known of a request when it comes. */
export type Arrived = Pick<
  RecentRequest,
  'pipeline' | 'apiEndpoint' | 'requestId' | 'protocol' | 'outcome'
>;

interface Noted {
  readonly note: RecentRequest;
  isKept: boolean;
}

/** Where the cache answered itself: there are many of these, and they push no other out. */
const servedOutcomes: ReadonlySet<string> = new Set(['hit', 'coalesced', 'stale']);

export function isServedOutcome(outcome: string): boolean {
  return servedOutcomes.has(outcome);
}

const maxTextLength = 256;

/** The newest requests of this process: so many that the cache answered, and as many others. */
export class RecentRequests {
  readonly #noted = new WeakMap<object, Noted>();
  readonly #served = new Ring<RecentRequest>(0);
  readonly #others = new Ring<RecentRequest>(0);
  readonly #begin = Date.now().toString(36);
  #count = 0;
  #places = 0;

  /** Takes effect at once; 0 keeps none. */
  configure(places: number): void {
    if (places === this.#places) return;
    this.#places = places;
    this.#served.resize(places);
    this.#others.resize(places);
  }

  /** How many of each kind there may be. */
  get places(): number {
    return this.#places;
  }

  /** The note of a request, the same for every policy that sees it; null where none are kept. */
  of(request: object, arrived: () => Arrived): RecentRequest | null {
    if (this.#places === 0) return null;
    let noted = this.#noted.get(request);
    if (noted === undefined) {
      noted = { note: this.#begun(arrived()), isKept: false };
      this.#noted.set(request, noted);
    }
    return noted.note;
  }

  /** Keeps the note of a request that is over, once. What becomes known later is still written into it. */
  keep(request: object): void {
    const noted = this.#noted.get(request);
    if (noted === undefined || noted.isKept) return;
    noted.isKept = true;
    (isServedOutcome(noted.note.outcome) ? this.#served : this.#others).add(noted.note);
  }

  /** The newest first. */
  all(): RecentRequest[] {
    const all = [...this.#served.newestFirst(), ...this.#others.newestFirst()];
    return all.toSorted((one, other) => other.at - one.at);
  }

  #begun(arrived: Arrived): RecentRequest {
    return {
      ...arrived,
      id: `${this.#begin}-${(++this.#count).toString(36)}`,
      at: Date.now(),
      requestId: cut(arrived.requestId),
      reason: null,
      notStored: null,
      expired: false,
      key: null,
      store: null,
      fingerprint: null,
      model: null,
      requestedModel: null,
      consumer: null,
      stream: null,
      status: 0,
      billed: false,
      inputTokens: null,
      outputTokens: null,
      totalTokens: null,
      cost: null,
      durationMs: 0,
    };
  }
}

/** What is known of a request when it comes, but for its outcome. */
export function arrivedAs(
  { apiEndpoint, requestId, protocol }: Pick<LlmRequest, 'apiEndpoint' | 'requestId' | 'protocol'>,
  pipeline: string,
): Omit<Arrived, 'outcome'> {
  return { pipeline, apiEndpoint, requestId, protocol: protocol.name };
}

/** Writes down what the books say of a request. */
export function noteRecord(note: RecentRequest, record: UsageRecord): void {
  note.model = cut(record.model);
  note.requestedModel = cut(record.requested_model);
  note.consumer = cut(record.consumer_id);
  note.stream = record.stream;
  note.status = record.status;
  note.billed = record.billed;
  note.inputTokens = record.input_tokens;
  note.outputTokens = record.output_tokens;
  note.totalTokens = record.total_tokens;
  note.cost = record.total_cost;
  note.durationMs = record.duration_ms;
}

/** Counts a request, and writes down what is counted. */
export class NotedCounts implements Counts {
  readonly pipeline: string;
  readonly protocol: Counts['protocol'];
  readonly #counts: Counts;
  readonly #note: RecentRequest;

  constructor(counts: Counts, note: RecentRequest) {
    this.pipeline = counts.pipeline;
    this.protocol = counts.protocol;
    this.#counts = counts;
    this.#note = note;
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
}

function cut<T extends string | null>(text: T): T | string {
  return text !== null && text.length > maxTextLength ? text.slice(0, maxTextLength) : text;
}
