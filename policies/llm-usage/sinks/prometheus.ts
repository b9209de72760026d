import { Counter, type Registry } from 'prom-client';
import type { UsageRecord } from '../usage-record.ts';
import type { SinkStats, UsageSink } from './sink.ts';

/** What tokens and costs may be divided by, beside the apiEndpoint. */
export const divisions = ['provider', 'model', 'requested_model', 'consumer_id'] as const;
export type Division = (typeof divisions)[number];

const common = ['api_endpoint', ...divisions, 'account'] as const;

/** Names come from outside; past so many different ones the rest is `other`. */
const maxGroups = 1000;

/**
 * The metrics of tokens and costs, in `registry`. They are always counted by apiEndpoint; `divide`
 * says by what else. A label that is not divided by is empty, which is as if it were not there.
 */
export class PrometheusSink implements UsageSink {
  readonly #tokens: Counter;
  readonly #cost: Counter;
  readonly #unpriced: Counter;
  readonly #groups = new Set<string>();
  #divisions: readonly Division[] = [];

  constructor(registry: Registry) {
    const registers = [registry];
    this.#tokens = new Counter({
      name: 'llm_usage_tokens_total',
      help: 'Tokens of answers: account="billed" came from the provider, "saved" from the cache.',
      labelNames: [...common, 'direction'],
      registers,
    });
    this.#cost = new Counter({
      name: 'llm_usage_cost_usd_total',
      help: 'What answers cost at list price, in USD: account="billed" or "saved".',
      labelNames: common,
      registers,
    });
    this.#unpriced = new Counter({
      name: 'llm_usage_unpriced_requests_total',
      help: 'Answers whose cost is not known, and so in no sum.',
      labelNames: common,
      registers,
    });
  }

  /** Takes effect from the next record on. */
  divide(by: readonly Division[]): void {
    this.#divisions = by;
  }

  record(record: UsageRecord): void {
    const account = record.cache_type !== null ? 'saved' : record.billed ? 'billed' : null;
    if (account === null) return;
    const labels = { ...this.#group(record), account };
    this.#tokens.inc({ ...labels, direction: 'input' }, record.input_tokens ?? 0);
    this.#tokens.inc({ ...labels, direction: 'output' }, record.output_tokens ?? 0);
    if (record.total_cost === null) this.#unpriced.inc(labels);
    else this.#cost.inc(labels, record.total_cost);
  }

  #group(record: UsageRecord): Record<string, string> {
    const labels = Object.fromEntries(
      divisions.map((name) => [name, this.#divisions.includes(name) ? (record[name] ?? '') : '']),
    );
    const group = { api_endpoint: record.api_endpoint ?? '', ...labels };
    const key = JSON.stringify(Object.values(group));
    if (!this.#groups.has(key) && this.#groups.size >= maxGroups) {
      const other = Object.fromEntries(this.#divisions.map((name) => [name, 'other']));
      return { ...group, ...other };
    }
    this.#groups.add(key);
    return group;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: 0 };
  }

  async flush(): Promise<void> {}
  flushSync(): void {}
  async close(): Promise<void> {}
}
