import type { Page } from 'playwright-core';
import type {
  Budget,
  PeriodUsage,
  Requests,
  RequestInfo,
  Stats,
  Usage,
  UsageGroup,
  UsageSums,
} from '../../policies/admin/page/answers.ts';

// A simulated month of usage for the screenshots in the README.

/** Each model with its share of the requests, its final hit rate, and USD per request. */
const models = [
  ['gpt-4o-2024-08-06', 0.48, 0.71, 0.0061],
  ['claude-sonnet-4-5-20250929', 0.24, 0.58, 0.0093],
  ['gpt-4o-mini-2024-07-18', 0.16, 0.66, 0.0004],
  ['text-embedding-3-small', 0.08, 0.83, 0.00002],
  ['o3-mini', 0.04, 0.31, 0.0047],
] as const;
/** Each consumer with its share of the requests, and a factor of its hit rate. */
const consumers = [
  ['search-frontend', 0.52, 1.05],
  ['support-assistant', 0.27, 0.98],
  ['nightly-evaluation', 0.14, 0.87],
  [null, 0.07, 0.6],
] as const;
const idOf = (name: string | null) =>
  name === null ? null : `0f9c1e52-7d44-4a51-9e0c-${String(name.length).padStart(12, '0')}`;

type Cell = UsageSums & Readonly<Record<UsageGroup, string | null>>;

const nothing: UsageSums = {
  requests: 0,
  hits: 0,
  hits_by_type: { exact: 0, semantic: 0, coalesced: 0, stale: 0 },
  billed_tokens: 0,
  saved_tokens: 0,
  billed_cost: 0,
  saved_cost: 0,
  unpriced_requests: 0,
};

function sums(requests: number, hitRate: number, price: number): UsageSums {
  const hits = Math.round(requests * hitRate);
  const coalesced = Math.round(hits * 0.06);
  return {
    requests,
    hits,
    hits_by_type: { exact: hits - coalesced, semantic: 0, coalesced, stale: 0 },
    billed_tokens: (requests - hits) * 812,
    saved_tokens: hits * 790,
    billed_cost: (requests - hits) * price,
    saved_cost: hits * price,
    unpriced_requests: 0,
  };
}

function add(one: UsageSums, other: UsageSums): UsageSums {
  const sum = (of: (sums: UsageSums) => number | null) => (of(one) ?? 0) + (of(other) ?? 0);
  const types = Object.keys(one.hits_by_type);
  return {
    requests: sum((it) => it.requests),
    hits: sum((it) => it.hits),
    hits_by_type: Object.fromEntries(
      types.map((type) => [type, sum((it) => it.hits_by_type[type] ?? 0)]),
    ),
    billed_tokens: sum((it) => it.billed_tokens),
    saved_tokens: sum((it) => it.saved_tokens),
    billed_cost: sum((it) => it.billed_cost),
    saved_cost: sum((it) => it.saved_cost),
    unpriced_requests: sum((it) => it.unpriced_requests),
  };
}

/** Simulates a day of a cache that warms up, with quiet weekends. */
function cellsOf(day: string, at: number): Cell[] {
  const quiet = [0, 6].includes(new Date(day).getUTCDay()) ? 0.35 : 1;
  const requests = quiet * (2900 + 40 * at + 320 * Math.sin(at * 2.1));
  const warm = 1 - 0.62 * Math.exp(-at / 6) + 0.04 * Math.sin(at * 1.7);
  return models.flatMap(([model, modelShare, hitRate, price]) =>
    consumers.map(([consumer_id, share, factor]) => ({
      day,
      model,
      consumer_id,
      ...sums(Math.round(requests * modelShare * share), hitRate * factor * warm, price),
    })),
  );
}

const dayMs = 86_400_000;
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** Simulates a period, up to today; `warmAt` is how many days the cache has been warming up before. */
function period(from: number, days: number, group: UsageGroup, warmAt: number): PeriodUsage {
  const cells = Array.from({ length: days }, (_, at) => at)
    .filter((at) => from + at * dayMs <= Date.now())
    .flatMap((at) => cellsOf(dayOf(from + at * dayMs), at + warmAt));
  const rows = [...new Set(cells.map((cell) => cell[group]))].map((value) => ({
    ...cells.filter((cell) => cell[group] === value).reduce<UsageSums>(add, nothing),
    [group]: group === 'consumer_id' ? idOf(value) : value,
    ...(group === 'consumer_id' ? { consumer_name: value } : {}),
  }));
  const to = dayOf(from + (days - 1) * dayMs);
  return { from: dayOf(from), to, since: null, rows, total: cells.reduce<UsageSums>(add, nothing) };
}

function usage(query: URLSearchParams): Usage {
  const from = Date.parse(query.get('from') ?? '');
  const days = Math.round((Date.parse(query.get('to') ?? '') - from) / dayMs) + 1;
  const group = query.get('group_by') as UsageGroup;
  return {
    ...period(from, days, group, 8),
    previous: period(from - days * dayMs, days, group, 2),
  };
}

function budgets(): Budget[] {
  const [from, to] = [`${dayOf(Date.now()).slice(0, 7)}-01`, dayOf(Date.now())];
  const common = {
    consumerId: null,
    consumerName: null,
    apiEndpoint: null,
    unpricedRequests: 0,
    from,
    to,
  };
  return [
    {
      ...common,
      name: 'nightly runs',
      consumer: 'nightly-evaluation',
      consumerId: idOf('nightly-evaluation'),
      model: null,
      per: 'month',
      usd: 30,
      spent: 34.12,
      state: 'over',
    },
    {
      ...common,
      name: 'Claude',
      consumer: null,
      model: 'claude-sonnet-4-5-20250929',
      per: 'month',
      usd: 130,
      spent: 108.3,
      state: 'near',
    },
    {
      ...common,
      name: 'everything per day',
      consumer: null,
      model: null,
      per: 'day',
      usd: 60,
      spent: 11.9,
      from: to,
      state: 'ok',
    },
  ];
}

/** Returns recent requests of every kind, newest first. */
function recent(): Requests {
  const kinds = [
    ['hit', null, null],
    ['miss', null, null],
    ['hit', null, null],
    ['coalesced', null, null],
    ['miss', null, 'finish-reason'],
    ['request', 'no-cache', null],
    ['hit', null, null],
    ['bypass', 'stateful', null],
  ] as const;
  const found = Array.from({ length: 12 }, (_, at): RequestInfo => {
    const [outcome, reason, notStored] = kinds[at % kinds.length]!;
    const [model, , , price] = models[at % 3]!;
    const [consumerName] = consumers[at % 4]!;
    const isServed = outcome === 'hit' || outcome === 'coalesced';
    return {
      id: String(at),
      time: new Date(Date.now() - at * 730).toISOString(),
      pipeline: 'openai',
      apiEndpoint: 'openai',
      requestId: null,
      outcome,
      reason,
      notStored,
      expired: false,
      key: `openai:anonymous:${String(at).repeat(43)}`,
      model,
      requestedModel: model,
      consumer: idOf(consumerName),
      consumerName,
      stream: at % 2 === 0,
      status: 200,
      billed: !isServed,
      totalTokens: 640 + 37 * at,
      cost: price * (1 + (at % 5) / 7),
      durationMs: isServed ? 1 + (at % 2) : 900 + 211 * at,
    };
  });
  return { requests: found };
}

/** Returns a function that simulates the counters of a busy gateway; they grow with every call. */
function busyCounters(): () => Pick<Stats, 'pipelines' | 'joiners' | 'bufferedBytes'> {
  let calls = 0;
  let requests = 48_210;
  let hits = 29_870;
  return () => {
    calls++;
    const more = Math.round(9 + 4 * Math.sin(calls / 2) + 3 * Math.sin(calls * 1.3));
    requests += more;
    hits += Math.round(more * 0.64);
    const outcomes = { hit: hits, coalesced: 2110, stale: 96, request: 540, bypass: 815 };
    const miss = requests - Object.values(outcomes).reduce((sum, one) => sum + one, 0);
    const pipeline = {
      requests,
      outcomes: { ...outcomes, miss },
      reasons: { 'no-cache': 430, 'max-age': 110, stateful: 702, 'request-too-large': 113 },
      notStored: { status: 264, 'finish-reason': 83, 'client-left': 41 },
    };
    return { pipelines: { openai: pipeline }, joiners: 4, bufferedBytes: 186_400 };
  };
}

/** Answers the page's calls for usage and counters in place of the gateway. */
export async function showSample(page: Page): Promise<void> {
  const next = busyCounters();
  await page.route('**/llm-cache/usage?*', (route) =>
    route.fulfill({ json: usage(new URL(route.request().url()).searchParams) }),
  );
  await page.route('**/llm-cache/budgets', (route) =>
    route.fulfill({ json: { budgets: budgets() } }),
  );
  await page.route('**/llm-cache/requests?*', (route) => route.fulfill({ json: recent() }));
  await page.route('**/llm-cache/stats', async (route) => {
    const real = (await (await route.fetch()).json()) as Stats;
    await route.fulfill({ json: { ...real, uptime: 273_600, ...next() } });
  });
}
