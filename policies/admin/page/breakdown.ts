import { html, nothing, type TemplateResult } from 'lit-html';
import { type Usage, type UsageGroup, type UsageRow } from './api.ts';
import { ratio } from './format.ts';
import { amount, bar, empty, name, price, scrolling, share, type View } from './parts.ts';

export interface BreakdownOptions {
  readonly group: Exclude<UsageGroup, 'day'>;
  readonly title: string;
  /** What stands for a row without the group's value. */
  readonly absent: string;
  readonly redraw: () => void;
}

const firstRows = 10;

/** Who makes the requests: a table by model or by consumer, the busiest first. */
export class Breakdown {
  readonly #options: BreakdownOptions;
  #all = false;

  constructor(options: BreakdownOptions) {
    this.#options = options;
  }

  readonly view = ({ rows }: Usage): View => {
    if (rows.length === 0) return empty('Nothing yet.');
    const sorted = rows.toSorted((one, other) => other.requests - one.requests);
    const shown = this.#all ? sorted : sorted.slice(0, firstRows);
    const toggle = () => {
      this.#all = !this.#all;
      this.#options.redraw();
    };
    return html`${scrolling(this.#options.title, this.#table(shown, sorted[0]?.requests ?? 0))}
    ${
      rows.length > firstRows
        ? html`<button type="button" class="plain" @click=${toggle}>
            ${this.#all ? `Show the first ${firstRows}` : `Show all ${rows.length}`}
          </button>`
        : nothing
    }`;
  };

  #table(rows: readonly UsageRow[], most: number): TemplateResult {
    const { title, group, absent } = this.#options;
    return html`<table class="breakdown">
      <thead>
        <tr>
          <th scope="col">${title}</th>
          <th scope="col" class="number">Requests</th>
          <th scope="col" class="number">Hit rate</th>
          <th scope="col" class="number">Tokens <small>saved / billed</small></th>
          <th scope="col" class="number">Cost <small>saved / billed</small></th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <th scope="row">
                ${name(row[group], absent)}
                ${bar(
                  [
                    { part: row.hits, kind: 'saved' },
                    { part: row.requests - row.hits, kind: 'billed' },
                  ],
                  most,
                )}
              </th>
              <td class="number">${amount(row.requests)}</td>
              <td class="number">${share(ratio(row.hits, row.requests))}</td>
              <td class="number">
                ${amount(row.saved_tokens)}
                <div class="second">${amount(row.billed_tokens)}</div>
              </td>
              <td class="number">
                ${price(row.saved_cost)}
                <div class="second">${price(row.billed_cost)}</div>
              </td>
            </tr>`,
        )}
      </tbody>
    </table>`;
  }
}
