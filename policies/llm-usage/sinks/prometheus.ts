import type { Registry } from 'prom-client';
import { counter } from '../../shared/prometheus/metric.ts';
import { picoOf, usdOf } from '../ledger.ts';
import type { UsageRecord } from '../usage-record.ts';
import type { SinkStats, UsageSink } from './sink.ts';

/** The optional labels of tokens and costs, besides the apiEndpoint. */
export const divisions = ['provider', 'model', 'requested_model', 'consumer_id'] as const;
export type Division = (typeof divisions)[number];

const common = ['api_endpoint', ...divisions, 'account'] as const;

const noDivisions = Object.fromEntries(divisions.map((name) => [name, '']));

/** The sums of all records with the same labels. */
interface GroupSums {
  readonly labels: Readonly<Record<(typeof common)[number], string>>;
  input: number;
  output: number;
  /** Cost in the ledger's unit, so that both agree; null if no cost is known. */
  pico: bigint | null;
  unpriced: number;
}

/** Clients choose some of the names; beyond this many groups, new names become `other`. */
const maxGroups = 1000;

/**
 * Counts tokens and costs as metrics in `registry`, always by apiEndpoint; `divide` adds further
 * labels. Other labels are empty, which Prometheus treats as absent.
 */
export class PrometheusSink implements UsageSink {
  readonly #groups = new Map<string, GroupSums>();
  #divisions: readonly Division[] = [];

  constructor(registry: Registry) {
    const all = () => this.#groups.values();
    counter(
      registry,
      {
        name: 'llm_usage_tokens_total',
        help: 'Tokens of answers: account="billed" came from the provider, "saved" from the cache.',
        labelNames: [...common, 'direction'],
      },
      function* () {
        for (const { labels, input, output } of all()) {
          yield [{ ...labels, direction: 'input' }, input];
          yield [{ ...labels, direction: 'output' }, output];
        }
      },
    );
    counter(
      registry,
      {
        name: 'llm_usage_cost_usd_total',
        help: 'What answers cost at list price, in USD: account="billed" or "saved".',
        labelNames: common,
      },
      function* () {
        for (const { labels, pico } of all()) if (pico !== null) yield [labels, usdOf(pico)];
      },
    );
    counter(
      registry,
      {
        name: 'llm_usage_unpriced_requests_total',
        help: 'Answers whose cost is not known and is in no sum.',
        labelNames: common,
      },
      function* () {
        for (const { labels, unpriced } of all()) if (unpriced > 0) yield [labels, unpriced];
      },
    );
  }

  /** Sets the further labels, from the next record on. */
  divide(by: readonly Division[]): void {
    this.#divisions = by;
  }

  record(record: UsageRecord): void {
    const account = record.cache_type !== null ? 'saved' : record.billed ? 'billed' : null;
    if (account === null) return;
    const sums = this.#sumsOf(record, account);
    sums.input += record.input_tokens ?? 0;
    sums.output += record.output_tokens ?? 0;
    const pico = picoOf(record.total_cost);
    if (pico === null) sums.unpriced++;
    else sums.pico = (sums.pico ?? 0n) + pico;
  }

  #sumsOf(record: UsageRecord, account: 'billed' | 'saved'): GroupSums {
    const values = this.#divisions.map((name) => record[name] ?? '');
    const { api_endpoint: apiEndpoint } = record;
    return (
      this.#groups.get(this.#keyOf(account, apiEndpoint, values)) ??
      this.#open(account, apiEndpoint, values)
    );
  }

  #keyOf(account: string, apiEndpoint: string | null, values: readonly string[]): string {
    return JSON.stringify([account, apiEndpoint, this.#divisions, values]);
  }

  #open(account: string, apiEndpoint: string | null, values: readonly string[]): GroupSums {
    const isFull = this.#groups.size >= maxGroups;
    const shown = isFull ? values.map(() => 'other') : values;
    const key = this.#keyOf(account, apiEndpoint, shown);
    const known = this.#groups.get(key);
    if (known !== undefined) return known;
    const divided = Object.fromEntries(this.#divisions.map((name, at) => [name, shown[at] ?? '']));
    const labels = { api_endpoint: apiEndpoint ?? '', ...noDivisions, ...divided, account };
    const sums = {
      labels: labels as GroupSums['labels'],
      input: 0,
      output: 0,
      pico: null,
      unpriced: 0,
    };
    this.#groups.set(key, sums);
    return sums;
  }

  stats(): SinkStats {
    return { dropped: 0, failures: 0 };
  }

  async flush(): Promise<void> {}
  flushSync(): void {}
  async close(): Promise<void> {}
}
