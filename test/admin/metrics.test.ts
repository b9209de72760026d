import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { expect } from 'chai';
import { parse } from 'yaml';
import { CacheStats } from '../../policies/llm-cache/stats.ts';
import { PrometheusSink } from '../../policies/llm-usage/sinks/prometheus.ts';
import { budgetMetrics } from '../../policies/admin/budget-metrics.ts';
import { Metrics } from '../../policies/admin/metrics.ts';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { record } from '../support/sinks-records.ts';

interface Dashboard {
  readonly panels: readonly {
    readonly title: string;
    readonly targets: readonly { readonly expr: string }[];
  }[];
}
interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const makeRecord = (parts: Partial<UsageRecord>): UsageRecord => ({ ...record(1), ...parts });

const folder = 'examples/observability';
const dashboard = JSON.parse(readFileSync(`${folder}/grafana-dashboard.json`, 'utf8')) as Dashboard;
const alerts = parse(readFileSync(`${folder}/alerts.yml`, 'utf8')) as Alerts;

/** Every expression with its panel or alert. A duration replaces Grafana's variables. */
const expressions: readonly (readonly [string, string])[] = [
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }, at) => {
      const name = targets.length === 1 ? title : `${title} (${at + 1})`;
      return [name, expr.replaceAll(/\$__(rate_interval|range)/g, '5m')] as const;
    }),
  ),
  ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [alert, expr] as const)),
];

/** Returns the metrics and labels that an expression names, and its syntax errors. */
function namesIn(expression: string): {
  metrics: Set<string>;
  labels: Set<string>;
  wrong: string[];
} {
  const metrics = new Set<string>();
  const labels = new Set<string>();
  const wrong: string[] = [];
  parser.parse(expression).iterate({
    enter: ({ type, from, to }) => {
      const text = expression.slice(from, to);
      if (type.isError) wrong.push(`${from}: ${text}`);
      if (type.name === 'Identifier') metrics.add(text);
      if (type.name === 'LabelName') labels.add(text);
    },
  });
  return { metrics, labels, wrong };
}

/** Returns the labels of every exported metric by name. */
async function exported(): Promise<Map<string, ReadonlySet<string>>> {
  const stats = new CacheStats();
  const tally = stats.of('openai', 'chat');
  tally.count('hit', null);
  tally.count('bypass', 'not-json');
  tally.countNotStored('status');
  tally.countSlowReader();
  const store = {
    type: 'memory',
    entries: 1,
    bytes: 2,
    maxBytes: 3,
    evictions: 4,
    errors: 5,
    droppedWrites: 6,
    healthy: false,
    eviction: {
      ranking: 'worth',
      missedHits: 7,
      missedUsd: 8,
      twiceTheMemory: { hits: 9, usd: 10 },
    },
  };
  const metrics = new Metrics({
    stats,
    stores: () => ({ memory: store }),
    sinks: () => ({ log: { dropped: 1, failures: 2 } }),
    joiners: () => 1,
    bufferedBytes: () => 1,
  });
  budgetMetrics(metrics.registry, async () => [
    {
      name: 'everything per day',
      consumer: null,
      consumerId: null,
      model: null,
      apiEndpoint: null,
      per: 'day',
      usd: 10,
      spent: 9,
      unpricedRequests: 0,
      state: 'near',
      from: '2026-11-29',
      to: '2026-11-29',
    },
  ]);
  const sink = new PrometheusSink(metrics.registry);
  sink.divide(['provider', 'model']);
  sink.record(makeRecord({ billed: true, total_cost: 1 }));
  sink.record(makeRecord({ billed: true, total_cost: null }));
  metrics.lookup('memory', 0.001);
  metrics.store('memory', 0.001);
  metrics.firstByte(tally, 'hit', 0.001);
  const { text } = await metrics.text();
  const found = new Map<string, Set<string>>();
  for (const [, name = '', labels = ''] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const known = found.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(\w+)="/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}

describe('The metrics', () => {
  it('The metrics keep to the Prometheus conventions', async () => {
    for (const [name] of await exported()) {
      expect(name).to.match(/^llm_(cache|usage)_[a-z_]+$/);
      const isHistogram = /_(bucket|sum|count)$/.test(name);
      const isTotal = name.endsWith('_total');
      const isGauge = /_(entries|bytes|open|joiners|hits|usd)$/.test(name);
      expect([isHistogram, isTotal, isGauge].filter(Boolean).length, name).to.equal(1);
    }
  });

  it('The metrics show the current counts at every scrape', async () => {
    const stats = new CacheStats();
    const metrics = new Metrics({
      stats,
      stores: () => ({}),
      sinks: () => ({}),
      joiners: () => 0,
      bufferedBytes: () => 0,
    });
    const tally = stats.of('openai', 'chat');
    const line = /^llm_cache_requests_total\{.*\} (\d+)$/m;
    const shown = async () => Number(line.exec((await metrics.text()).text)?.[1] ?? 0);
    expect(await shown()).to.equal(0);
    tally.count('hit', null);
    tally.count('hit', null);
    expect(await shown()).to.equal(2);
    expect(await shown()).to.equal(2);
    tally.count('hit', null);
    expect(await shown()).to.equal(3);
  });

  it('The metrics divide costs only by the labels asked for, and only up to a bound', async () => {
    const metrics = new Metrics({
      stats: new CacheStats(),
      stores: () => ({}),
      sinks: () => ({}),
      joiners: () => 0,
      bufferedBytes: () => 0,
    });
    const sink = new PrometheusSink(metrics.registry);
    const lines = async () =>
      (await metrics.text()).text.split('\n').filter((one) => one.startsWith('llm_usage_cost'));
    const paid = (model: string) =>
      makeRecord({ billed: true, model, total_cost: 0.5, api_endpoint: 'openai' });
    sink.record(paid('one'));
    sink.record(paid('two'));
    expect(await lines()).to.deep.equal([
      'llm_usage_cost_usd_total{api_endpoint="openai",provider="",model="",requested_model="",consumer_id="",account="billed"} 1',
    ]);
    sink.divide(['model']);
    for (let at = 0; at < 1500; at++) sink.record(paid(`model ${at}`));
    expect((await lines()).length).to.be.at.most(1001);
    expect((await lines()).at(-1)).to.contain('model="other"');
    sink.record(makeRecord({ billed: false, cache_type: null, total_cost: null }));
    expect((await lines()).length).to.be.at.most(1001);
  });
});

describe('The example alerts and the Grafana dashboard', () => {
  it('The example alerts and dashboard have rules and panels', () => {
    expect(alerts.groups.flatMap(({ rules }) => rules).length).to.be.above(5);
    expect(dashboard.panels.length).to.be.above(10);
  });

  for (const [title, expression] of expressions) {
    it(`The expression of "${title}" uses only exported metrics and labels`, async () => {
      const found = await exported();
      const { metrics, labels, wrong } = namesIn(expression);
      expect(wrong).to.deep.equal([]);
      expect(metrics.size).to.be.above(0);
      for (const name of metrics) expect([...found.keys()]).to.include(name);
      const all = new Set([...metrics].flatMap((name) => [...(found.get(name) ?? [])]));
      for (const label of labels) expect([...all], expression).to.include(label);
    });
  }
});
