import { html, nothing, svg, type TemplateResult } from 'lit-html';
import type { PeriodUsage, Usage, UsageSums } from './answers.ts';
import { daysIn } from './days.ts';
import { count, daysName, percent, ratio } from './format.ts';
import { moneyFormat, type MoneyFormat } from './money.ts';
import { type View } from './parts.ts';
import type { NamedRange } from './range.ts';

export interface RangeUsage {
  readonly usage: Usage;
  readonly range: NamedRange;
}

/** The top of the page: how much money the cache saved, and of how much. */
export function headline({ usage, range }: RangeUsage): TemplateResult {
  const { total, previous } = usage;
  const sums = moneyOf(total);
  const before = moneyOf(previous.total);
  const money = moneyFormat([sums.all]);
  return html`<div class="card headline">
    <div>
      ${
        sums.all === null
          ? html`<p class="saved" data-figure="headline">Saved: not known</p>
              <p class="hint">
                No price is known for these requests; add it to <code>usage.prices</code>.
              </p>`
          : html`<p class="saved" data-figure="headline">
              Saved <strong>${money(sums.saved)}</strong> of ${money(sums.all)}
              <span>(${percent(ratio(sums.saved, sums.all) ?? 0)})</span>
            </p>`
      }
      <p class="range">In ${range.name}: ${daysName(range)} (UTC)${firstFigures(usage)}</p>
      ${sums.all === null ? nothing : trend(sums, before, previous, money)} ${unpriced(total)}
    </div>
    ${sums.all === null ? nothing : savedByDay({ usage, range })}
  </div>`;
}

/** Says from when there are figures, if the ledger starts within the period. */
function firstFigures({ since, from }: PeriodUsage): View {
  if (since === null || since <= from) return nothing;
  return html`, with figures since ${daysName({ from: since, to: since })}`;
}

interface Money {
  readonly saved: number;
  /** What all answers would have cost without the cache; null if no price is known. */
  readonly all: number | null;
}

function moneyOf({ saved_cost: saved, billed_cost: billed }: UsageSums): Money {
  const all = saved === null && billed === null ? null : (saved ?? 0) + (billed ?? 0);
  return { saved: saved ?? 0, all };
}

function trend(
  now: Money,
  before: Money,
  previous: PeriodUsage,
  money: MoneyFormat,
): TemplateResult {
  const days = daysName(previous);
  if (previous.total.requests === 0 || before.all === null) {
    return html`<p class="trend" data-figure="trend">
      There is nothing to compare with: no figures of ${days}.
    </p>`;
  }
  const difference = now.saved - before.saved;
  const part = ratio(Math.abs(difference), before.saved);
  const [sign, word] =
    difference > 0 ? ['▲', 'more than'] : difference < 0 ? ['▼', 'less than'] : ['=', 'as much as'];
  return html`<p class="trend" data-figure="trend">
    <span class=${difference < 0 ? 'down' : 'up'}
      ><span aria-hidden="true">${sign}</span> ${
        difference === 0
          ? nothing
          : html`${money(Math.abs(difference))}${part === null ? '' : ` (${percent(part)})`}`
      }
      ${word}</span
    >
    in ${days}${firstFigures(previous)}: ${money(before.saved)} of ${money(before.all)}
    (${percent(ratio(before.saved, before.all) ?? 0)})
  </p>`;
}

function unpriced({ unpriced_requests: requests }: UsageSums): View {
  if (requests === 0) return nothing;
  return html`<p class="hint" data-figure="unpriced-note">
    ${count(requests)} ${requests === 1 ? 'request has' : 'requests have'} no known price, and
    ${requests === 1 ? 'is' : 'are'} in none of these sums.
  </p>`;
}

/** Draws one column per day with its saved part in colour. The table of days has the numbers. */
function savedByDay({ usage, range }: RangeUsage): TemplateResult {
  const days = daysIn(range);
  const rows = new Map(usage.rows.map((row) => [row.day, row]));
  const perDay = days.map((day) => {
    const row = rows.get(new Date(day * 1000).toISOString().slice(0, 10));
    return { saved: row?.saved_cost ?? 0, billed: row?.billed_cost ?? 0 };
  });
  const highest = Math.max(...perDay.map(({ saved, billed }) => saved + billed), 0);
  if (highest === 0 || days.length < 2) return html``;
  const width = 100 / days.length;
  return html`<svg
    class="columns"
    viewBox="0 0 100 40"
    preserveAspectRatio="none"
    aria-hidden="true"
  >
    ${perDay.map(({ saved, billed }, at) => {
      const [low, high] = [(40 * saved) / highest, (40 * billed) / highest];
      const box = { x: at * width + width * 0.1, width: width * 0.8 };
      return svg`<rect class="billed" x=${box.x} y=${40 - low - high} width=${box.width} height=${high}></rect>
        <rect class="saved" x=${box.x} y=${40 - low} width=${box.width} height=${low}></rect>`;
    })}
  </svg>`;
}
