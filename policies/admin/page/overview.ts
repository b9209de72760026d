import { html, nothing, type TemplateResult } from 'lit-html';
import type { UsageRow, UsageSums } from './answers.ts';
import { DayChart } from './charts.ts';
import { daysIn } from './days.ts';
import { compact, count, dayName, percent, ratio, wholePercent } from './format.ts';
import type { RangeUsage } from './headline.ts';
import { moneyFormat } from './money.ts';
import { known, share, type View } from './parts.ts';
import { type Column, SortTable } from './sort-table.ts';

const rateChart = new DayChart({
  label: 'Answered from the cache, by day',
  stacked: false,
  axisFormat: wholePercent,
  top: () => 1,
});
const costChart = new DayChart({
  label: 'Saved and billed cost by day',
  stacked: true,
  axisFormat: null,
  top: (highest) => (highest > 0 ? highest * 1.1 : 1),
});

interface Day {
  readonly at: number;
  readonly row: UsageRow | undefined;
}

const days = new SortTable<Day>({
  label: 'The days as a table',
  kind: 'days',
  key: ({ at }) => String(at),
  sortBy: 'day',
  redraw: () => redraw(),
});
let redraw = () => {};

/** Sets the function that redraws the table of days after it is sorted. */
export function whenDaysSorted(draw: () => void): void {
  redraw = draw;
}

/** Shows the sums of the range and how they develop over its days. */
export function overview({ usage, range }: RangeUsage): View {
  const rows = new Map(usage.rows.map((row) => [row.day, row]));
  const all = daysIn(range).map((at) => ({
    at,
    row: rows.get(new Date(at * 1000).toISOString().slice(0, 10)),
  }));
  const money = moneyFormat(usage.rows.flatMap((row) => [row.saved_cost, row.billed_cost]));
  const dates = all.map(({ at }) => at);
  const values = (of: (row: UsageRow) => number | null) =>
    all.map(({ row }) => (row === undefined ? null : of(row)));
  costChart.show(
    dates,
    [
      { label: 'Billed', kind: 'billed', values: values((row) => row.billed_cost) },
      { label: 'Saved', kind: 'saved', values: values((row) => row.saved_cost) },
    ],
    money,
  );
  rateChart.show(
    dates,
    [{ label: 'From the cache', kind: 'saved', values: values((row) => rateOf(row)) }],
    percent,
  );
  return html`${tiles(usage.total)}
    <div class="pair">
      <figure class="card">
        <figcaption>
          <h3>Cost by day</h3>
          ${costLegend}
        </figcaption>
        ${costChart.element}
      </figure>
      <figure class="card">
        <figcaption><h3>Answered from the cache, by day</h3></figcaption>
        ${rateChart.element}
      </figure>
    </div>
    <details class="card">
      <summary>The days as a table</summary>
      ${days.view(dayColumns(usage.total, money), all)}
    </details>`;
}

/** The legend for the colours of bars and columns. */
export const costLegend = html`<span class="legend"
  ><span><i class="swatch saved"></i>Saved</span
  ><span><i class="swatch billed"></i>Billed</span></span
>`;

const rateOf = ({ hits, requests }: UsageSums) => ratio(hits, requests);

function tiles(total: UsageSums): TemplateResult {
  const { hits, requests, billed_cost: billed, unpriced_requests: unpriced } = total;
  const types = Object.entries(total.hits_by_type)
    .filter(([, number]) => number > 0)
    .map(([type, number]) => `${compact(number)} ${type}`)
    .join(', ');
  return html`<dl class="tiles">
    ${tile('billed-cost', 'Billed', known(billed, moneyFormat([billed])), 'at list price')}
    ${tile('hit-rate', 'Answered from the cache', share(ratio(hits, requests)), types)}
    ${tile('requests', 'Requests', html`${count(requests)}`, `${count(hits)} from the cache`)}
    ${tile(
      'saved-tokens',
      'Saved tokens',
      html`${count(total.saved_tokens)}`,
      `${count(total.billed_tokens)} billed`,
    )}
    ${
      unpriced > 0
        ? tile('unpriced', 'Without a price', html`${count(unpriced)}`, 'requests, in no cost here')
        : nothing
    }
  </dl>`;
}

const tile = (id: string, label: string, value: TemplateResult, more: string) =>
  html`<div class="card tile">
    <dt>${label}</dt>
    <dd data-figure=${id}>${value}</dd>
    <dd class="more">${more}</dd>
  </div>`;

function dayColumns(total: UsageSums, money: (usd: number) => string): Column<Day>[] {
  const number = (
    id: string,
    label: string,
    of: (row: UsageSums) => number | null,
    show: (value: number) => string,
  ): Column<Day> => ({
    id,
    label,
    isNumber: true,
    value: ({ row }) => (row === undefined ? null : of(row)),
    cell: ({ row }) => (row === undefined ? nothing : known(of(row), show)),
    total: known(of(total), show),
  });
  return [
    {
      id: 'day',
      label: 'Day (UTC)',
      isNumber: false,
      value: ({ at }) => at,
      cell: ({ at }) => dayName(at),
    },
    number('saved', 'Saved', (row) => row.saved_cost, money),
    number('billed', 'Billed', (row) => row.billed_cost, money),
    number('requests', 'Requests', (row) => row.requests, count),
    number('rate', 'From the cache', rateOf, percent),
  ];
}
