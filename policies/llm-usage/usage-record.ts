import type { CacheType } from '../shared/exchange.ts';

/** One line in the books: one request on a path that the cache serves, whoever answered. */
export interface UsageRecord {
  /** UUID of this record. */
  id: string;
  /** When the request came, ISO 8601, UTC. */
  timestamp: string;
  /** The gateway's id of the request. */
  request_id: string | null;
  /** The provider's response id. */
  provider_id: string | null;
  provider: string;
  /** The model that the answer names, else the request's. */
  model: string | null;
  requested_model: string | null;
  /** The path that the client sent, without its query. */
  endpoint: string;
  api_endpoint: string | null;
  /** The consumer as the cache's scope knows it. */
  consumer_id: string | null;
  stream: boolean;
  /** The status that the client got. */
  status: number;
  cache_type: CacheType | null;
  /** A 2xx that came from the provider for this request. */
  billed: boolean;
  /** As the provider counts them; null where it said nothing. */
  input_tokens: number | null;
  output_tokens: number | null;
  total_tokens: number | null;
  /** Cached, cache-write, reasoning, audio tokens and the like, under one set of names. */
  raw_data: Readonly<Record<string, number>>;
  duration_ms: number;
}
