import { html, render } from 'lit-html';
import type { Budget, EntryOrder, Tryout } from './answers.ts';
import { getBudgets, getEntries, getRequests, getStats, getUsage } from './api.ts';
import { Breakdown } from './breakdown.ts';
import { budgetsView } from './budgets.ts';
import { EntryTable, orders, purgeOne, type Tell } from './entries.ts';
import { explainForm } from './explain.ts';
import { headline, type RangeUsage } from './headline.ts';
import { showLive, showReachable } from './live.ts';
import { OutcomeTable } from './outcomes.ts';
import { overview, whenDaysSorted } from './overview.ts';
import { choice } from './parts.ts';
import { Poller } from './poller.ts';
import { purgeForm } from './purge-form.ts';
import { RangeChoice } from './range.ts';
import { RequestFilterForm } from './request-filter.ts';
import { RequestTable } from './requests.ts';
import { root, Section } from './section.ts';
import { storesView } from './stores.ts';
import { TransferForm } from './transfer-form.ts';
import { emptyState } from './tryout.ts';

const statsEveryMs = 2000;
const usageEveryMs = 30_000;
const entryLimit = 10;
const requestLimit = 25;

let order: EntryOrder = 'saved';
let budgets: readonly Budget[] = [];
let tryout: Tryout | null = null;

// The counters, which share one call.
const outcomes = new OutcomeTable(() => outcomeSection.draw());
const outcomeSection = new Section({
  id: 'outcomes-view',
  title: 'Outcomes',
  load: getStats,
  view: outcomes.view,
});
const storeSection = new Section({
  id: 'stores-view',
  title: 'Stores',
  load: getStats,
  view: storesView,
});
const counters = [outcomeSection, storeSection];

// The ledger's figures for the chosen days.
const range = new RangeChoice(() => {
  for (const section of books) void section.ask();
});
const usageBy = (group: 'day' | 'model' | 'consumer_id') => async (): Promise<RangeUsage> => {
  const { current } = range;
  return { usage: await getUsage(current.from, current.to, group), range: current };
};
/** The call in flight, which the two sections with figures by day share. */
let dayCall: { readonly days: string; readonly answer: Promise<RangeUsage> } | null = null;
function usageByDay(): Promise<RangeUsage> {
  const { from, to } = range.current;
  const days = `${from} ${to}`;
  if (dayCall?.days === days) return dayCall.answer;
  const answer = usageBy('day')().finally(() => {
    if (dayCall?.answer === answer) dayCall = null;
  });
  dayCall = { days, answer };
  return answer;
}
const about = ({ range: { name } }: RangeUsage) => name;
const models = new Breakdown({
  group: 'model',
  title: 'Model',
  absent: 'not known',
  budgetsOf: (model) =>
    budgets.filter((one) => one.model === model && one.consumer === null && !one.apiEndpoint),
  redraw: () => modelSection.draw(),
});
const consumers = new Breakdown({
  group: 'consumer_id',
  title: 'Consumer',
  absent: 'no consumer',
  budgetsOf: (id) =>
    budgets.filter((one) => one.consumerId === id && one.model === null && !one.apiEndpoint),
  redraw: () => consumerSection.draw(),
});
const byDay = (view: (data: RangeUsage) => ReturnType<typeof overview>) => (data: RangeUsage) =>
  data.usage.total.requests === 0 ? html`` : view(data);
const headlineSection = new Section({
  id: 'headline-view',
  title: 'Savings',
  load: usageByDay,
  view: (data) =>
    data.usage.total.requests === 0 ? emptyState(tryout, data.range.name) : headline(data),
  about,
});
const overviewSection = new Section({
  id: 'overview-view',
  title: 'Figures by day',
  load: usageByDay,
  view: byDay(overview),
  about,
});
whenDaysSorted(() => overviewSection.draw());
const modelSection = new Section({
  id: 'models-view',
  load: usageBy('model'),
  view: models.view,
  about,
});
const consumerSection = new Section({
  id: 'consumers-view',
  load: usageBy('consumer_id'),
  view: consumers.view,
  about,
});
const books = [headlineSection, overviewSection, modelSection, consumerSection];
const budgetSection = new Section({
  id: 'budgets-view',
  title: 'Budgets',
  load: async () => {
    budgets = await getBudgets();
    modelSection.draw();
    consumerSection.draw();
    return budgets;
  },
  view: budgetsView,
});

// The recent requests.
const filter = new RequestFilterForm(() => void requestSection.ask());
const requestTable = new RequestTable(() => requestSection.draw());
const requestSection = new Section({
  id: 'requests-view',
  load: () => getRequests(filter.filter, requestLimit),
  view: requestTable.view,
});

// The entries. They do not reload by themselves, since their rows have buttons.
const tell: Tell = (text, kind) => {
  const place = root('purge-result');
  place.className = `note ${kind}`;
  place.textContent = text;
};
const entryTable = new EntryTable({
  purge: (entry) => {
    void purgeOne(entry, tell).then((changed) => {
      if (changed) refresh([entrySection]);
    });
  },
  redraw: () => entrySection.draw(),
});
const entrySection = new Section({
  id: 'entries-view',
  load: () => getEntries(order, entryLimit),
  view: entryTable.view,
});

function drawOrders(): void {
  const choose = (value: EntryOrder) => {
    order = value;
    drawOrders();
    void entrySection.ask();
  };
  render(choice('Order', orders, order, choose), root('order'));
}

function refresh(sections: readonly { refresh(): Promise<void> }[]): void {
  for (const section of sections) void section.refresh();
}

drawOrders();
purgeForm(tell, () => refresh([entrySection]));
const transfer = new TransferForm(tell, () => refresh([entrySection]));
explainForm();
root('reload-entries').addEventListener('click', () => refresh([entrySection]));

const slow = [...books, budgetSection];

new Poller({
  everyMs: statsEveryMs,
  atMostMs: 10_000,
  task: async () => {
    const stats = getStats();
    for (const section of counters) void section.take(stats);
    const requests = filter.isLive ? requestSection.refresh() : null;
    const { pipelines, stores, tryout: offered } = await stats;
    tryout = offered;
    filter.offer(Object.keys(pipelines));
    transfer.offer(stores);
    showLive(await stats);
    showReachable(null);
    await requests;
  },
  changed: (failures, error) => {
    showReachable(failures === 0 ? null : error);
    // The other sections failed or recover too, so update them before their own turn.
    if (failures === 0) refresh([...slow, entrySection, requestSection]);
    else for (const section of [...slow, entrySection]) section.markStale(error);
  },
}).start();
new Poller({
  everyMs: usageEveryMs,
  atMostMs: usageEveryMs,
  task: () => Promise.all(slow.map((section) => section.refresh())).then(() => {}),
  changed: () => {},
}).start();
refresh([entrySection]);
