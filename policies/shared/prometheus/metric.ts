import { Counter, Gauge, type Registry } from 'prom-client';

type Valued = Iterable<readonly [labels: Record<string, string>, value: number]>;

/** The values of a metric by its labels, as they are now. */
export type Values = () => Valued;

export interface MetricText {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** A gauge that is read off its source at each scrape. */
export function gauge(registry: Registry, text: MetricText, values: Values): void {
  const metric: Gauge = new Gauge({
    ...text,
    registers: [registry],
    collect: () => read(metric, values),
  });
}

/** The same where it takes waiting to tell; where that fails the metric has no values. */
export function gaugeLater(
  registry: Registry,
  text: MetricText,
  values: () => Promise<Valued>,
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

/** The same of a counter: who counts does so in numbers of its own. */
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
