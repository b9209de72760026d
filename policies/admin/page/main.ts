import { render } from 'lit-html';
import { getEntries, getStats, getUsage, type EntryOrder, type Usage } from './api.ts';
import { Breakdown } from './breakdown.ts';
import { lastDays } from './days.ts';
import { entriesView, orders, purgeOne, type Tell } from './entries.ts';
import { explainForm } from './explain.ts';
import { showLive, showReachable } from './live.ts';
import { outcomesView } from './outcomes.ts';
import { overview } from './overview.ts';
import { choice } from './parts.ts';
import { Poller } from './poller.ts';
import { purgeForm } from './purge-form.ts';
import { root, Section } from './section.ts';
import { storesView } from './stores.ts';

const statsEveryMs = 2000;
const usageEveryMs = 30_000;
const entryLimit = 10;

let days = 7;
let order: EntryOrder = 'bytes';

// The counters: one call feeds them all.
const counters = [
  new Section('outcomes-view', getStats, outcomesView),
  new Section('stores-view', getStats, storesView),
];

// The books.
const usageBy = (group: 'day' | 'model' | 'consumer_id') => {
  const range = lastDays(days);
  return getUsage(range.from, range.to, group).then((usage) => ({ usage, range }));
};
const models = new Breakdown({
  group: 'model',
  title: 'Model',
  absent: 'not known',
  redraw: () => modelSection.draw(),
});
const consumers = new Breakdown({
  group: 'consumer_id',
  title: 'Consumer',
  absent: 'no consumer',
  redraw: () => consumerSection.draw(),
});
const rowsBy = (group: 'model' | 'consumer_id') => (): Promise<Usage> =>
  usageBy(group).then(({ usage }) => usage);
const overviewSection = new Section('overview-view', () => usageBy('day'), overview);
const modelSection = new Section('models-view', rowsBy('model'), models.view);
const consumerSection = new Section('consumers-view', rowsBy('consumer_id'), consumers.view);
const books = [overviewSection, modelSection, consumerSection];

function drawRanges(): void {
  const options = [7, 30, 90].map((number) => [number, `${number} days`] as const);
  const choose = (value: number) => {
    days = value;
    drawRanges();
    refresh(books);
  };
  render(choice('Range', options, days, choose), root('range'));
}

// The entries; they do not move by themselves, for there are buttons on them.
const tell: Tell = (text, kind) => {
  const place = root('purge-result');
  place.className = `note ${kind}`;
  place.textContent = text;
};
const entrySection = new Section(
  'entries-view',
  () => getEntries(order, entryLimit),
  (entries) =>
    entriesView(entries, (entry) => {
      void purgeOne(entry, tell).then((changed) => {
        if (changed) refresh([entrySection]);
      });
    }),
);

function drawOrders(): void {
  const choose = (value: EntryOrder) => {
    order = value;
    drawOrders();
    refresh([entrySection]);
  };
  render(choice('Order', orders, order, choose), root('order'));
}

function refresh(sections: readonly { refresh(): Promise<void> }[]): void {
  for (const section of sections) void section.refresh();
}

drawRanges();
drawOrders();
purgeForm(tell, () => refresh([entrySection]));
explainForm();
root('reload-entries').addEventListener('click', () => refresh([entrySection]));

new Poller({
  everyMs: statsEveryMs,
  atMostMs: 10_000,
  task: async () => {
    const stats = getStats();
    for (const section of counters) void section.take(stats);
    showLive(await stats);
    showReachable(true);
  },
  changed: (failures) => {
    showReachable(failures === 0);
    // What failed along with it need not wait for its own turn.
    if (failures === 0) refresh([...books, entrySection]);
  },
}).start();
new Poller({
  everyMs: usageEveryMs,
  atMostMs: usageEveryMs,
  task: () => Promise.all(books.map((section) => section.refresh())).then(() => {}),
  changed: () => {},
}).start();
refresh([entrySection]);
