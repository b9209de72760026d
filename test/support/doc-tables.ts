import { llmRequestSchema } from '../../schemas/conditions.ts';
import { liveOptions, ownProperties } from '../../schemas/fetch.ts';
import { llmCacheSchema } from '../../schemas/llm-cache.ts';
import { llmUsageSchema } from '../../schemas/llm-usage.ts';
import { pluginSchema, storeKinds } from '../../schemas/plugin.ts';
import { asideReasons, refusalReasons } from '../../policies/shared/reasons.ts';
import { detailNames } from '../../policies/shared/usage-details.ts';
import { CacheStats } from '../../policies/llm-cache/stats.ts';
import { PrometheusSink } from '../../policies/llm-usage/sinks/prometheus.ts';
import { recordFields } from '../../policies/llm-usage/usage-record.ts';
import { budgetMetrics } from '../../policies/admin/budget-metrics.ts';
import { Metrics } from '../../policies/admin/metrics.ts';

interface Described {
  readonly type?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly items?: Described;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly additionalProperties?: Described;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
}

function parameters(properties: Readonly<Record<string, Described>>, prefix = ''): string[][] {
  return Object.entries(properties).flatMap(([name, one]) => {
    const path = `${prefix}${name}`;
    const inner = one.properties
      ? parameters(one.properties, `${path}.`)
      : one.additionalProperties?.properties
        ? parameters(one.additionalProperties.properties, `${path}.NAME.`)
        : one.items?.properties
          ? parameters(one.items.properties, `${path}[].`)
          : [];
    const isGroup = one.properties !== undefined;
    const allowed = one.enum ?? one.items?.enum;
    const meaning = `${one.description}${allowed ? ` (${allowed.map((text) => `\`${text}\``).join(', ')})` : ''}`;
    const own = isGroup ? [] : [[`\`${path}\``, defaultOf(name, one), meaning]];
    return [...own, ...inner];
  });
}

const kibibyte = 1024;

/** Formats a default. A `name` that ends in `Bytes` shows its number in KiB or MiB. */
function defaultOf(name: string, one: Described): string {
  if (one.default === undefined) return '';
  if (name.endsWith('Bytes') && typeof one.default === 'number') return bytes(one.default);
  if (typeof one.default !== 'object')
    return `\`${JSON.stringify(one.default).replaceAll('"', '')}\``;
  return `\`${JSON.stringify(one.default).replaceAll('"', '').replaceAll(',', ', ')}\``;
}

function bytes(count: number): string {
  if (count % kibibyte !== 0) return `${count} bytes`;
  const isWhole = count % kibibyte ** 2 === 0;
  return isWhole ? `${count / kibibyte ** 2} MiB` : `${count / kibibyte} KiB`;
}

function named(entries: Readonly<Record<string, string>>): string[][] {
  return Object.entries(entries).map(([name, meaning]) => [`\`${name}\``, meaning]);
}

/** Returns the name, labels and help text of every metric. */
function metrics(): string[][] {
  const { registry } = new Metrics({
    stats: new CacheStats(),
    stores: () => ({}),
    sinks: () => ({}),
    joiners: () => 0,
    bufferedBytes: () => 0,
  });
  budgetMetrics(registry, async () => []);
  const sink = new PrometheusSink(registry);
  sink.divide([]);
  return registry.getMetricsAsArray().map((metric) => {
    const {
      name,
      help,
      labelNames = [],
    } = metric as unknown as {
      readonly name: string;
      readonly help: string;
      readonly labelNames?: readonly string[];
    };
    return [`\`${name}\``, labelNames.map((label) => `\`${label}\``).join(', '), help];
  });
}

/** The generated tables of the documents by name. */
export const docTables: Readonly<Record<string, string>> = {
  'llm-cache': table(['parameter', 'default', 'meaning'], parameters(llmCacheSchema.properties)),
  'llm-usage': table(['parameter', 'default', 'meaning'], parameters(llmUsageSchema.properties)),
  'llm-request': table(
    ['parameter', 'default', 'meaning'],
    parameters(llmRequestSchema.properties),
  ),
  settings: table(['setting', 'default', 'meaning'], parameters(pluginSchema.properties)),
  ...Object.fromEntries(
    Object.entries(storeKinds).map(([kind, properties]) => [
      `store-${kind}`,
      table(['setting', 'default', 'meaning'], parameters(properties)),
    ]),
  ),
  fetch: table(
    ['option', 'default', 'meaning'],
    [
      ...named(liveOptions).map(([name = '', meaning = '']) => [name, '', meaning]),
      ...parameters(ownProperties),
    ],
  ),
  metrics: table(['metric', 'labels', 'what it counts'], metrics()),
  'usage-record': table(['field', 'meaning'], named(recordFields)),
  'raw-data': table(['name', 'meaning'], named(detailNames)),
  aside: table(['reason', 'what happened'], named(asideReasons)),
  refusal: table(['reason', 'what happened'], named(refusalReasons)),
};
