import { Counter, Gauge, type Registry } from 'prom-client';

type LabelledValues = Iterable<readonly [labels: Record<string, string>, value: number]>;

/** Returns the current values of a metric with their labels. */
export type Values = () => LabelledValues;

export interface MetricText {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** Registers a gauge that reads its values from their source at each scrape. */
export function gauge(registry: Registry, text: MetricText, values: Values): void {
  const metric: Gauge = new Gauge({
    ...text,
    registers: [registry],
    collect: () => read(metric, values),
  });
}

/** Like `gauge`, for a source that is asynchronous. If it rejects, the metric has no values. */
export function asyncGauge(
  registry: Registry,
  text: MetricText,
  values: () => Promise<LabelledValues>,
): void {
  const metric: Gauge = new Gauge({
    ...text,
    registers: [registry],
    collect: async () => {
      const now = await values().catch(() => []);
      read(metric, () => now);
    },
  });
}

/** Registers a counter that reads its values from their source at each scrape. */
export function counter(registry: Registry, text: MetricText, values: Values): void {
  const metric: Counter = new Counter({
    ...text,
    registers: [registry],
    collect: () => read(metric, values),
  });
}

function read(metric: Gauge | Counter, values: Values): void {
  metric.reset();
  for (const [labels, value] of values()) metric.inc(labels, value);
}
