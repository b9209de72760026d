import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import type { Log } from '../../policies/shared/log.ts';

export function record(n: number): UsageRecord {
  return {
    id: `record-${n}`,
    timestamp: '2026-01-31T12:00:00.000Z',
    request_id: null,
    provider_id: 'chatcmpl-1',
    provider: 'openai',
    model: 'gpt-4o-2024-08-06',
    requested_model: 'gpt-4o',
    endpoint: '/v1/chat/completions',
    api_endpoint: 'openai',
    consumer_id: 'Zoë\nÅ',
    stream: false,
    status: 200,
    cache_type: null,
    cache_key: 'openai:shared:key',
    billed: true,
    input_tokens: 11,
    output_tokens: 5,
    total_tokens: 16,
    raw_data: { cached_tokens: 4 },
    input_cost: null,
    output_cost: null,
    total_cost: null,
    costs_calculation_caveat: null,
    duration_ms: 12,
  };
}

export const quietLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Creates a log that collects its lines. */
export function keptLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    lines,
    info: (message) => void lines.push(`info ${message}`),
    warn: (message) => void lines.push(`warn ${message}`),
    error: (message) => void lines.push(`error ${message}`),
  };
}
