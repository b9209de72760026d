import { html, nothing, type TemplateResult } from 'lit-html';
import type { Budget } from './answers.ts';
import { count, daysName, percent } from './format.ts';
import { moneyFormat } from './money.ts';
import { bar, name, person, type View } from './parts.ts';

/** Shows each budget and how much of it is spent; nothing without budgets. */
export function budgetsView(budgets: readonly Budget[]): View {
  if (budgets.length === 0) return nothing;
  const rank = { over: 0, near: 1, ok: 2 } as const;
  const sorted = budgets.toSorted((one, other) => rank[one.state] - rank[other.state]);
  return html`<div class="card">
    <h3>Budgets</h3>
    <ul class="budgets">
      ${sorted.map(budgetLine)}
    </ul>
  </div>`;
}

const words = { over: 'Spent', near: 'Nearly spent', ok: 'Within' } as const;
const kinds = { over: 'bad', near: 'warn', ok: 'good' } as const;

function budgetLine(budget: Budget): TemplateResult {
  const { usd, spent, state, consumer, consumerId, consumerName, unpricedRequests } = budget;
  const money = moneyFormat([usd, spent]);
  const text = `${money(spent)} of ${money(usd)} billed`;
  return html`<li>
    <span class="line">
      <span>${name(budget.name, 'no name')}</span>
      <span class=${`state ${kinds[state]}`}>${words[state]}</span>
    </span>
    <div
      role="meter"
      aria-label=${budget.name}
      aria-valuemin="0"
      aria-valuemax=${usd}
      aria-valuenow=${Math.min(spent, usd)}
      aria-valuetext=${text}
    >
      ${bar([{ part: Math.min(spent, usd), kind: `budget-${state}` }], usd)}
    </div>
    <p>
      ${text} (${percent(spent / usd)})
      <small
        >${daysName(budget)}${unpricedRequests > 0 ? `; not counted: ${unpricedRequests === 1 ? '1 request' : `${count(unpricedRequests)} requests`} without a known price` : ''}</small
      >
      ${
        // A budget configured with an id also shows the consumer's name.
        consumerName !== null && consumerName !== consumer
          ? html`<small>for ${person(consumerId, consumerName, '')}</small>`
          : nothing
      }
      ${
        consumer !== null && consumerId === null
          ? html`<span class="trouble">No consumer has this name.</span>`
          : nothing
      }
    </p>
  </li>`;
}

/** A mark next to a name in a table whose budget is spent or nearly spent. */
export const budgetMark = (budget: Budget): View => {
  const { state, spent, usd, per } = budget;
  if (state === 'ok') return nothing;
  const money = moneyFormat([usd, spent]);
  return html`<span
    class=${`state ${kinds[state]}`}
    title=${`${budget.name}: ${money(spent)} of ${money(usd)}`}
    >${words[state]}: budget per ${per}</span
  >`;
};
