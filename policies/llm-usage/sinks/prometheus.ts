import { Counter, type Registry } from 'prom-client';
import type { UsageRecord } from '../usage-record.ts';
import type { SinkStats, UsageSink } from './sink.ts';

/** What tokens and costs may be divided by, beside the apiEndpoint. */
export const divisions = ['provider', 'model', 'requested_model', 'consumer_id'] as const;
export type Division = (typeof divisions)[number];

const common = ['api_endpoint', ...divisions, 'account'] as const;

const noDivisions = Object.fromEntries(divisions.map((name) => [name, '']));

type Child = Counter.Internal;

interface GroupSums {
  readonly input: Child;
  readonly output: Child;
  cost(): Child;
  unpriced(): Child;
}

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
  readonly #groups = new Map<string, GroupSums>();
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
    const sums = this.#sumsOf(record, account);
    sums.input.inc(record.input_tokens ?? 0);
    sums.output.inc(record.output_tokens ?? 0);
    if (record.total_cost === null) sums.unpriced().inc();
    else sums.cost().inc(record.total_cost);
  }

  /** The counters of one set of labels, found without making labels anew. */
  #sumsOf(record: UsageRecord, account: 'billed' | 'saved'): GroupSums {
    const values = this.#divisions.map((name) => record[name] ?? '');
    const key = JSON.stringify([account, record.api_endpoint, this.#divisions, values]);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const isFull = this.#groups.size >= maxGroups;
    const group = {
      api_endpoint: record.api_endpoint ?? '',
      ...noDivisions,
      ...Object.fromEntries(
        this.#divisions.map((name) => [name, isFull ? 'other' : (record[name] ?? '')]),
      ),
      account,
    };
    const sums = {
      input: this.#tokens.labels({ ...group, direction: 'input' }),
      output: this.#tokens.labels({ ...group, direction: 'output' }),
      // A cost of 0 is not shown where nothing is priced.
      cost: () => this.#cost.labels(group),
      unpriced: () => this.#unpriced.labels(group),
    };
    if (!isFull) this.#groups.set(key, sums);
    return sums;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: 0 };
  }

  async flush(): Promise<void> {}
  flushSync(): void {}
  async close(): Promise<void> {}
}
