import { Histogram, Registry } from 'prom-client';
import type { CacheStats, Counts, OutcomeName } from '../llm-cache/stats.ts';
import type { StoreStats } from '../llm-cache/stores/store.ts';
import type { Timings } from '../llm-cache/timings.ts';
import type { SinkStats } from '../llm-usage/sinks/sink.ts';
import { counter, gauge, type Values } from '../shared/prometheus/metric.ts';
import { storeCounters, storeGauges } from './store-metrics.ts';

/** The sources of numbers that are counted elsewhere. */
export interface MetricSources {
  readonly stats: CacheStats;
  stores(): Readonly<Record<string, StoreStats>>;
  sinks(): Readonly<Record<string, SinkStats>>;
  joiners(): number;
  bufferedBytes(): number;
}

type Observer = ReturnType<Histogram['labels']>;

// A lookup takes microseconds in memory, and at most the deadline in Redis.
const storeBuckets = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25];
// A hit takes a millisecond, a reasoning model up to a minute.
const answerBuckets = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The metrics that `GET /llm-cache/metrics` shows, in their own registry. */
export class Metrics implements Timings {
  readonly registry = new Registry();
  readonly #sources: MetricSources;
  readonly #lookup: Histogram;
  readonly #write: Histogram;
  readonly #firstByte: Histogram;
  /** Cached by labels, so that no request has to build them. */
  readonly #lookups = new Map<string, Observer>();
  readonly #writes = new Map<string, Observer>();
  readonly #firstBytes = new Map<string, Partial<Record<OutcomeName, Observer>>>();

  constructor(sources: MetricSources) {
    this.#sources = sources;
    const registers = [this.registry];
    this.#lookup = new Histogram({
      name: 'llm_cache_lookup_duration_seconds',
      help: 'How long a store took to look up an entry.',
      labelNames: ['store'],
      buckets: storeBuckets,
      registers,
    });
    this.#write = new Histogram({
      name: 'llm_cache_store_duration_seconds',
      help: 'How long a store took to accept an entry; a Redis store accepts it into its queue.',
      labelNames: ['store'],
      buckets: storeBuckets,
      registers,
    });
    this.#firstByte = new Histogram({
      name: 'llm_cache_time_to_first_byte_seconds',
      help: 'Time from the arrival of a request at the cache to the head of its response.',
      labelNames: ['pipeline', 'outcome'],
      buckets: answerBuckets,
      registers,
    });
    this.#countRequests();
    this.#watchStores();
    this.#watchSinks();
    this.#gauge(
      'joiners',
      'Requests waiting for, or reading along with, another.',
      sources.joiners,
    );
    this.#gauge('buffered_bytes', 'Bytes of bodies held right now.', sources.bufferedBytes);
  }

  lookup(store: string, seconds: number): void {
    observerOf(this.#lookups, this.#lookup, store).observe(seconds);
  }

  store(store: string, seconds: number): void {
    observerOf(this.#writes, this.#write, store).observe(seconds);
  }

  firstByte({ pipeline }: Counts, outcome: OutcomeName, seconds: number): void {
    let observers = this.#firstBytes.get(pipeline);
    if (observers === undefined) this.#firstBytes.set(pipeline, (observers = {}));
    (observers[outcome] ??= this.#firstByte.labels({ pipeline, outcome })).observe(seconds);
  }

  async text(): Promise<{ readonly text: string; readonly contentType: string }> {
    return { text: await this.registry.metrics(), contentType: this.registry.contentType };
  }

  #countRequests(): void {
    const { stats } = this.#sources;
    this.#counter(
      'llm_cache_requests_total',
      'Requests by what the cache did with them, and why.',
      ['pipeline', 'protocol', 'outcome', 'reason'],
      function* () {
        for (const { pipeline, protocol, outcomes } of stats.tallies()) {
          for (const { outcome, reason, count } of outcomes) {
            yield [{ pipeline, protocol, outcome, reason: reason ?? '' }, count];
          }
        }
      },
    );
    this.#counter(
      'llm_cache_not_stored_total',
      'Answers that were delivered and not stored, and why.',
      ['pipeline', 'protocol', 'reason'],
      function* () {
        for (const { pipeline, protocol, notStored } of stats.tallies()) {
          for (const [reason, count] of notStored) yield [{ pipeline, protocol, reason }, count];
        }
      },
    );
    this.#counter(
      'llm_cache_slow_readers_total',
      'Readers of a shared stream that fell too far behind and were cut off.',
      ['pipeline', 'protocol'],
      function* () {
        for (const { pipeline, protocol, slowReaders } of stats.tallies()) {
          yield [{ pipeline, protocol }, slowReaders];
        }
      },
    );
  }

  #watchStores(): void {
    const each = (read: (stats: StoreStats) => number | null) => () =>
      labelled('store', this.#sources.stores(), read);
    for (const [name, help, read] of storeGauges) {
      const text = { name: `llm_cache_${name}`, help, labelNames: ['store'] };
      gauge(this.registry, text, each(read));
    }
    for (const [name, help, read] of storeCounters) {
      this.#counter(`llm_cache_${name}_total`, help, ['store'], each(read));
    }
  }

  #watchSinks(): void {
    const each = (read: (stats: SinkStats) => number) => () =>
      labelled('sink', this.#sources.sinks(), read);
    this.#counter(
      'llm_usage_sink_dropped_records_total',
      'Usage records that a sink dropped.',
      ['sink'],
      each(({ dropped }) => dropped),
    );
    this.#counter(
      'llm_usage_sink_failures_total',
      'Failed attempts of a sink to write records.',
      ['sink'],
      each(({ failures }) => failures),
    );
  }

  #gauge(name: string, help: string, read: () => number): void {
    const text = { name: `llm_cache_${name}`, help, labelNames: [] };
    gauge(this.registry, text, () => [[{}, read()]]);
  }

  #counter(name: string, help: string, labelNames: readonly string[], values: Values): void {
    counter(this.registry, { name, help, labelNames }, values);
  }
}

function* labelled<S>(
  label: string,
  all: Readonly<Record<string, S>>,
  read: (one: S) => number | null,
): ReturnType<Values> & Generator<[Record<string, string>, number]> {
  for (const [name, one] of Object.entries(all)) {
    const value = read(one);
    if (value !== null) yield [{ [label]: name }, value];
  }
}

function observerOf(known: Map<string, Observer>, histogram: Histogram, store: string): Observer {
  let observer = known.get(store);
  if (observer === undefined) known.set(store, (observer = histogram.labels({ store })));
  return observer;
}
