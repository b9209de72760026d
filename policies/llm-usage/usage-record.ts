import type { CacheType } from '../shared/exchange.ts';

/** The meaning of each record field; the table in the docs is generated from it. */
export const recordFields = {
  id: 'UUID of the record',
  timestamp: 'when the request arrived, ISO 8601, UTC',
  request_id: "the gateway's id of the request",
  provider_id: "the provider's response id",
  provider: "the provider's name",
  model: "the model that the answer names, else the request's",
  requested_model: 'the model that the request asked for',
  endpoint: 'the path that the client sent, without its query',
  api_endpoint: "the apiEndpoint's name",
  consumer_id: 'the consumer as the scope knows it; `null` without one',
  stream: 'whether the request asked for a stream',
  status: 'the status that the client got; 499 if it left before there was one',
  cache_type:
    '`exact` for a hit, `coalesced` for a request that joined one under way, `stale` for an expired entry; `null` when the cache did not answer',
  cache_key:
    'the key of the cache entry: the same for identical requests, and without any of their content; `null` when the cache stood aside',
  billed: 'whether the provider answered this request with a 2xx',
  input_tokens: 'as the provider counts them; `null` if it reported none',
  output_tokens: 'as the provider counts them; `null` if it reported none',
  total_tokens: "the provider's total, else the sum of the two",
  raw_data: 'the parts of these counts, and units other than tokens',
  input_cost:
    'USD at list price, cached and cache-write tokens included; `null` if it is not known',
  output_cost: 'the same for the output',
  total_cost:
    'both, and the fees of the provider’s tools: what the call cost or, when the cache answered, what it would have cost',
  costs_calculation_caveat:
    'what the costs leave out or treat specially (a tier, a fee, ambiguous counts), or why they are `null`',
  duration_ms: "from the request's arrival at the policy to the end of the response",
} as const;

/** The usage of one request on a path that the cache serves, including cache hits. */
export interface UsageRecord {
  readonly id: string;
  readonly timestamp: string;
  readonly request_id: string | null;
  readonly provider_id: string | null;
  readonly provider: string;
  readonly model: string | null;
  readonly requested_model: string | null;
  readonly endpoint: string;
  readonly api_endpoint: string | null;
  readonly consumer_id: string | null;
  readonly stream: boolean;
  readonly status: number;
  readonly cache_type: CacheType | null;
  readonly cache_key: string | null;
  readonly billed: boolean;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly total_tokens: number | null;
  readonly raw_data: Readonly<Record<string, number>>;
  readonly input_cost: number | null;
  readonly output_cost: number | null;
  readonly total_cost: number | null;
  readonly costs_calculation_caveat: string | null;
  readonly duration_ms: number;
}
