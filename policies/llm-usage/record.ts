import type { AnswerFacts, CacheType } from '../shared/exchange.ts';
import type { UsageRecord } from './usage-record.ts';

/** What one record is made of. */
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
  /** The status that an upstream answered this very request with; null where none did. */
  readonly providerStatus: number | null;
  /** Null where nothing was read of an answer. */
  readonly facts: AnswerFacts | null;
}

export function usageRecord(parts: RecordParts): UsageRecord {
  const { facts, status } = parts;
  const usage = facts?.usage ?? null;
  return {
    id: parts.id,
    timestamp: new Date(parts.startedAt).toISOString(),
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
    billed: parts.cacheType === null && isBilled(parts),
    input_tokens: usage?.inputTokens ?? null,
    output_tokens: usage?.outputTokens ?? null,
    total_tokens: usage?.totalTokens ?? null,
    raw_data: { ...usage?.details },
    duration_ms: Math.max(0, Math.round(parts.endedAt - parts.startedAt)),
  };
}

/** A 2xx of the provider; where no upstream is known of, an answer that tells what it used. */
function isBilled({ providerStatus, status, facts }: RecordParts): boolean {
  if (providerStatus === null && !facts?.usage) return false;
  const answered = providerStatus ?? status;
  return answered >= 200 && answered < 300;
}
