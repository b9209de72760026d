import { html, nothing, type TemplateResult } from 'lit-html';
import { type Usage, type UsageSums } from './api.ts';
import { DayChart } from './charts.ts';
import { daysIn, type Range } from './days.ts';
import { compact, cost, count, dayName, percent, ratio, wholePercent } from './format.ts';
import { amount, empty, price, scrolling, share, type View } from './parts.ts';

const rateChart = new DayChart({
  label: 'Hit rate by day',
  stacked: false,
  format: percent,
  axisFormat: wholePercent,
  top: () => 1,
});
const costChart = new DayChart({
  label: 'Saved and billed cost by day',
  stacked: true,
  format: cost,
  axisFormat: cost,
  top: (highest) => (highest > 0 ? highest * 1.1 : 1),
});

/** The sums of the range and their course over its days. */
export function overview({ usage, range }: { usage: Usage; range: Range }): View {
  if (usage.total.requests === 0) {
    return empty('Nothing yet: no request came through llm-usage in these days.');
  }
  const days = daysIn(range);
  const rows = new Map(usage.rows.map((row) => [row.day, row]));
  const perDay = days.map((day) => rows.get(new Date(day * 1000).toISOString().slice(0, 10)));
  rateChart.show(days, [
    {
      label: 'Hit rate',
      kind: 'saved',
      values: perDay.map((row) => (row === undefined ? null : ratio(row.hits, row.requests))),
    },
  ]);
  costChart.show(days, [
    { label: 'Billed', kind: 'billed', values: perDay.map((row) => row?.billed_cost ?? null) },
    { label: 'Saved', kind: 'saved', values: perDay.map((row) => row?.saved_cost ?? null) },
  ]);
  return html`${tiles(usage.total)}
    <div class="pair">
      <figure class="card">
        <figcaption><h3>Hit rate by day</h3></figcaption>
        ${rateChart.element}
      </figure>
      <figure class="card">
        <figcaption>
          <h3>Cost by day</h3>
          <span class="legend"
            ><span><i class="swatch saved"></i>Saved</span
            ><span><i class="swatch billed"></i>Billed</span></span
          >
        </figcaption>
        ${costChart.element}
      </figure>
    </div>
    <details class="card">
      <summary>The days as a table</summary>
      ${scrolling('The days as a table', dayTable(days, perDay))}
    </details>`;
}

function tiles(total: UsageSums): TemplateResult {
  const { hits, requests, saved_cost: saved, billed_cost: billed, unpriced_requests } = total;
  const whole = saved === null && billed === null ? null : (saved ?? 0) + (billed ?? 0);
  const types = Object.entries(total.hits_by_type)
    .filter(([, number]) => number > 0)
    .map(([type, number]) => `${compact(number)} ${type}`)
    .join(', ');
  return html`<dl class="tiles">
    ${tile('hit-rate', 'Hit rate', share(ratio(hits, requests)), types, 'main')}
    ${tile(
      'saved-cost',
      'Saved cost',
      price(saved),
      whole === null || whole === 0 ? '' : `of ${cost(whole)} without the cache`,
      'main',
    )}
    ${tile('billed-cost', 'Billed cost', price(billed), 'at list price')}
    ${tile(
      'saved-tokens',
      'Saved tokens',
      amount(total.saved_tokens),
      `${compact(total.billed_tokens)} billed`,
    )}
    ${tile('requests', 'Requests', amount(requests), `${compact(hits)} from the cache`)}
    ${
      unpriced_requests > 0
        ? tile('unpriced', 'Unpriced requests', amount(unpriced_requests), 'in no cost shown here')
        : nothing
    }
  </dl>`;
}

const tile = (
  id: string,
  label: string,
  value: TemplateResult,
  more: string,
  kind: 'main' | 'plain' = 'plain',
) =>
  html`<div class=${`card tile ${kind}`}>
    <dt>${label}</dt>
    <dd data-figure=${id}>${value}</dd>
    <dd class="more">${more}</dd>
  </div>`;

const dayTable = (days: readonly number[], perDay: readonly (UsageSums | undefined)[]) =>
  html`<table>
    <thead>
      <tr>
        <th scope="col">Day (UTC)</th>
        <th scope="col" class="number">Requests</th>
        <th scope="col" class="number">Hit rate</th>
        <th scope="col" class="number">Saved</th>
        <th scope="col" class="number">Billed</th>
      </tr>
    </thead>
    <tbody>
      ${days
        .map(
          (day, at) =>
            html`<tr>
              <th scope="row">${dayName(day)}</th>
              ${perDay[at] === undefined ? noRequests : dayCells(perDay[at])}
            </tr>`,
        )
        .toReversed()}
    </tbody>
  </table>`;

const noRequests = html`<td class="number">0</td>
  <td class="number" colspan="3"></td>`;

const dayCells = (row: UsageSums) =>
  html`<td class="number">${count(row.requests)}</td>
    <td class="number">${share(ratio(row.hits, row.requests))}</td>
    <td class="number">${price(row.saved_cost)}</td>
    <td class="number">${price(row.billed_cost)}</td>`;
