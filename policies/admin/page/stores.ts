import { html, nothing, type TemplateResult } from 'lit-html';
import type { Stats, StoreStats } from './answers.ts';
import { bytes, count, percent } from './format.ts';
import { moneyFormat } from './money.ts';
import { amount, bar, empty, known, name, type View } from './parts.ts';
import { scrolling } from './scroll-watch.ts';

export function storesView({ stores, sinks, joiners, bufferedBytes }: Stats): View {
  const all = Object.entries(stores);
  return html`${
      all.length === 0
        ? empty('No store is in use yet.')
        : html`<div class="cards">${all.map(([store, stats]) => storeCard(store, stats))}</div>`
    }
    <div class="card">
      <h3>Right now</h3>
      <dl class="facts">
        <div>
          <dt>Requests waiting for, or reading along with, another</dt>
          <dd data-figure="joiners">${count(joiners)}</dd>
        </div>
        <div>
          <dt>Bodies held in memory</dt>
          <dd data-figure="buffered">${bytes(bufferedBytes)}</dd>
        </div>
      </dl>
    </div>
    ${sinkCard(Object.entries(sinks))}`;
}

const storeCard = (store: string, stats: StoreStats) =>
  html`<div class="card store">
    <div class="title">
      <h3>${name(store, 'no name')} <small>${stats.type}</small></h3>
      ${
        stats.healthy
          ? html`<span class="state good">Healthy</span>`
          : html`<span class="state bad">Not answering</span>`
      }
    </div>
    ${fill(stats)}
    <dl class="facts">
      ${fact('Entries', known(stats.entries, count))} ${fact('Evictions', amount(stats.evictions))}
      ${fact('Errors', problems(stats.errors))}
      ${fact('Dropped writes', problems(stats.droppedWrites))}
    </dl>
    ${memoryAdvice(stats)}
  </div>`;

/** Says how much money more memory would save. */
function memoryAdvice({ eviction, evictions }: StoreStats): View {
  if (eviction === undefined || evictions === 0) return nothing;
  const { missedHits, missedUsd, twiceTheMemory: twice } = eviction;
  const money = moneyFormat([missedUsd, twice?.usd]);
  return html`<p class="room">
    For lack of memory it missed at least ${count(missedHits)} hits, worth ${money(missedUsd)},
    since the start.
    ${
      twice === null
        ? nothing
        : html`Twice the memory would have saved about ${money(twice.usd)} more.`
    }
  </p>`;
}

const fact = (label: string, value: TemplateResult) =>
  html`<div>
    <dt>${label}</dt>
    <dd>${value}</dd>
  </div>`;

const problems = (number: number) =>
  number === 0 ? html`0` : html`<span class="trouble">${amount(number)}</span>`;

function fill({ bytes: used, maxBytes: max }: StoreStats): TemplateResult {
  if (used === null || max === null || max === 0) {
    return html`<p class="fill">${known(used, bytes)} <small>no bound known</small></p>`;
  }
  return html`<div
      role="meter"
      aria-label="Bytes held"
      aria-valuemin="0"
      aria-valuemax=${max}
      aria-valuenow=${used}
      aria-valuetext=${`${bytes(used)} of ${bytes(max)}`}
    >
      ${bar([{ part: Math.min(used, max), kind: 'saved' }], max)}
    </div>
    <p class="fill">${bytes(used)} of ${bytes(max)} <small>${percent(used / max)}</small></p>`;
}

const sinkCard = (sinks: readonly (readonly [string, Stats['sinks'][string]])[]) =>
  html`<div class="card">
    <h3>Usage record sinks</h3>
    ${
      sinks.length === 0
        ? empty('No sink is in use yet.')
        : scrolling(
            'Sinks',
            html`<table>
              <thead>
                <tr>
                  <th scope="col">Sink</th>
                  <th scope="col" class="number">Dropped records</th>
                  <th scope="col" class="number">Failures</th>
                </tr>
              </thead>
              <tbody>
                ${sinks.map(
                  ([sink, { dropped, failures }]) =>
                    html`<tr>
                      <th scope="row">${name(sink, 'no name')}</th>
                      <td class="number">${problems(dropped)}</td>
                      <td class="number">${problems(failures)}</td>
                    </tr>`,
                )}
              </tbody>
            </table>`,
          )
    }
  </div>`;
