import type { AnswerFacts } from '../shared/answer.ts';
import { type CacheType, clientClosedRequest } from '../shared/exchange.ts';
import type { RefusalReason } from '../shared/reasons.ts';
import { soundUsage } from '../shared/usage.ts';
import type { Priced } from './price-list.ts';
import { type Costs, costsOf, noCosts, unknownCosts } from './pricing.ts';
import type { Price } from './rates.ts';
import type { UsageRecord } from './usage-record.ts';

/** The inputs of one record. */
export interface RecordParts {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly requestId: string | null;
  readonly provider: string;
  readonly requestedModel: string | null;
  readonly path: string;
  readonly apiEndpoint: string | null;
  readonly consumerId: string | null;
  readonly stream: boolean;
  readonly status: number;
  /** Null when the cache did not answer. */
  readonly cacheType: CacheType | null;
  /** Null when the cache was not involved. */
  readonly cacheKey: string | null;
  /** The status of the upstream's own answer to this request; null if it gave none. */
  readonly providerStatus: number | null;
  /** Null if no answer was read. */
  readonly facts: AnswerFacts | null;
  /** Whether the provider counts cached tokens on top of the input tokens. */
  readonly cacheApart: boolean;
  /** Whether an answer that reports no usage is free. */
  readonly isFreeUncounted?: boolean;
}

/** Builds the record of a request. `priceOf` returns a model's price, or null if unknown. */
export function usageRecord(
  given: RecordParts,
  priceOf: (priced: Priced) => Price | null,
): UsageRecord {
  const facts = given.facts && soundFacts(given.facts);
  const parts = facts === given.facts ? given : { ...given, facts };
  const { status } = parts;
  const usage = facts?.usage ?? null;
  const billed = parts.cacheType === null && isBilled(parts);
  const costs = costsIn(parts, billed, priceOf);
  return {
    id: parts.id,
    timestamp: isoTime(parts.startedAt),
    request_id: parts.requestId,
    provider_id: facts?.id ?? null,
    provider: parts.provider,
    model: facts?.model ?? parts.requestedModel,
    requested_model: parts.requestedModel,
    endpoint: parts.path,
    api_endpoint: parts.apiEndpoint,
    consumer_id: parts.consumerId,
    stream: parts.stream,
    status,
    cache_type: parts.cacheType,
    cache_key: parts.cacheKey,
    billed,
    input_tokens: usage?.inputTokens ?? null,
    output_tokens: usage?.outputTokens ?? null,
    total_tokens: usage?.totalTokens ?? null,
    raw_data: { ...usage?.details },
    input_cost: costs.input,
    output_cost: costs.output,
    total_cost: costs.total,
    costs_calculation_caveat: costs.caveat,
    duration_ms: Math.max(0, Math.round(parts.endedAt - parts.startedAt)),
  };
}

/** Removes implausible counts from the usage: one of them would spoil a sum for good. */
function soundFacts(facts: AnswerFacts): AnswerFacts {
  const usage = soundUsage(facts.usage);
  return usage === facts.usage ? facts : { ...facts, usage };
}

let isoSecond = { at: Number.NaN, text: '' };

/** Formats a time per RFC 3339, in UTC with milliseconds. Caches the text of the current second. */
function isoTime(at: number): string {
  const second = Math.floor(at / 1000);
  if (second !== isoSecond.at) {
    isoSecond = { at: second, text: new Date(second * 1000).toISOString().slice(0, -4) };
  }
  return `${isoSecond.text}${String(at - second * 1000).padStart(3, '0')}Z`;
}

/** Returns what was billed or, if the cache answered, what was saved. */
function costsIn(
  parts: RecordParts,
  billed: boolean,
  priceOf: (priced: Priced) => Price | null,
): Costs {
  const { facts, provider, requestedModel } = parts;
  if (!billed && parts.cacheType === null) return unknownCosts(whyUnbilled(parts));
  if (!facts?.usage) {
    const isFree = parts.isFreeUncounted === true && facts?.fault === null && facts.cut === null;
    return isFree ? noCosts : unknownCosts(whyUnknown(facts));
  }
  const { model, cut } = facts;
  const price = priceOf({ provider, model, requestedModel });
  const name = model ?? requestedModel;
  if (price === null) return unknownCosts(`no price for ${name ?? 'an answer without a model'}`);
  const costs = costsOf(facts.usage, price, parts);
  if (!cut) return costs;
  const partial = `${reasonsToStop[cut] ?? 'the answer was not read to its end'}: what came later is not counted`;
  return { ...costs, caveat: costs.caveat === null ? partial : `${costs.caveat}; ${partial}` };
}

/** Caveats for an answer that was read only in part or not at all. */
const reasonsToStop: Readonly<Partial<Record<RefusalReason, string>>> = {
  'client-left': 'the client left before the end of the answer',
  aborted: 'the upstream broke off the answer',
  'too-large':
    'the answer is too large to read (`maxResponseBytes`, or the bound of its decoded size)',
  'buffer-limit': 'there was no room left to read the answer (`limits.bufferedBytes`)',
  encoding: 'the answer could not be decoded',
  'content-type': 'the answer is neither JSON nor an event stream',
  malformed: 'the answer is not well formed',
  'no-body': 'the answer has no body',
  'error-in-body': 'the answer carries an error',
};

function whyUnknown(facts: AnswerFacts | null): string {
  if (facts === null) return 'the answer was not read';
  const reason = facts.cut ?? facts.fault;
  const text = reason ? reasonsToStop[reason] : undefined;
  return text === undefined ? 'the answer reports no usage' : `${text}, and no usage was seen`;
}

function whyUnbilled({ status, providerStatus, facts }: RecordParts): string {
  const left = providerStatus === null && facts?.cut === 'client-left';
  if (left || status === clientClosedRequest) return 'the client left before there was an answer';
  return 'nothing was billed';
}

/**
 * Whether the provider answered with a 2xx. If no upstream is known, the answer must report its
 * usage.
 */
function isBilled({ providerStatus, status, facts }: RecordParts): boolean {
  if (providerStatus === null && !facts?.usage) return false;
  const answered = providerStatus ?? status;
  return answered >= 200 && answered < 300;
}
