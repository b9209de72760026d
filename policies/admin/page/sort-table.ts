import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import { type View } from './parts.ts';
import { scrolling } from './scroll-watch.ts';

export interface Column<Row> {
  readonly id: string;
  readonly label: string;
  /** The tooltip of the column's head. */
  readonly hint?: string;
  /** Shown before the label. */
  readonly mark?: View;
  /**
   * Returns the value to sort by; null comes last in either order. Without it the column is not
   * sortable.
   */
  readonly value?: (row: Row) => number | string | null;
  readonly isNumber?: boolean;
  readonly cell: (row: Row) => unknown;
  /** The cell in the total row. */
  readonly total?: unknown;
}

export interface SortTableOptions<Row> {
  readonly label: string;
  /** A class for the style sheet, besides `stack`. */
  readonly kind: string;
  readonly key: (row: Row) => string;
  /** The initial sort column; null keeps the order of the rows. */
  readonly sortBy: string | null;
  /** The number of rows shown at first; a button shows the rest. */
  readonly firstRows?: number;
  /** Returns the content of a further row below a row. */
  readonly detail?: (row: Row) => View;
  readonly redraw: () => void;
}

/** A sortable table that shows its rows as cards on a narrow screen. */
export class SortTable<Row> {
  readonly #options: SortTableOptions<Row>;
  #sortBy: string | null;
  #isAscending = false;
  #all = false;

  constructor(options: SortTableOptions<Row>) {
    this.#options = options;
    this.#sortBy = options.sortBy;
  }

  /**
   * Renders the table. The first column has the row headers; a total row appears if a column has a
   * total.
   */
  view(columns: readonly Column<Row>[], rows: readonly Row[]): TemplateResult {
    const { label, kind, firstRows = Infinity } = this.#options;
    const sorted = this.#sorted(columns, rows);
    const shown = this.#all ? sorted : sorted.slice(0, firstRows);
    // Explicit roles keep the table semantics when CSS shows the rows as cards.
    return html`${scrolling(
      `Table: ${label}`,
      html`<table class=${`stack ${kind}`} role="table" aria-label=${label}>
        <thead role="rowgroup">
          <tr role="row">
            ${columns.map((column) => this.#head(column))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          ${repeat(shown, this.#options.key, (row) => this.#row(columns, row))}
        </tbody>
        ${this.#foot(columns, rows.length)}
      </table>`,
    )}
    ${rows.length > firstRows ? this.#toggle(firstRows, rows.length) : nothing}`;
  }

  #sorted(columns: readonly Column<Row>[], rows: readonly Row[]): readonly Row[] {
    const value = columns.find(({ id }) => id === this.#sortBy)?.value;
    if (value === undefined) return rows;
    const direction = this.#isAscending ? 1 : -1;
    return rows.toSorted((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return Number(a === null) - Number(b === null);
      return direction * (a < b ? -1 : a > b ? 1 : 0);
    });
  }

  #head({ id, label, hint, mark, value, isNumber = false }: Column<Row>): TemplateResult {
    const kind = isNumber ? 'number' : '';
    if (value === undefined) {
      return html`<th scope="col" role="columnheader" class=${kind} title=${hint ?? nothing}>
        <span class=${label.startsWith('(') ? 'spoken' : ''}
          >${mark ?? nothing}${label.replaceAll(/[()]/g, '')}</span
        >
      </th>`;
    }
    const isSorted = id === this.#sortBy;
    const order = !isSorted ? 'none' : this.#isAscending ? 'ascending' : 'descending';
    const arrow = html`<span class="arrow" aria-hidden="true"
      >${isSorted ? (this.#isAscending ? '↑' : '↓') : '↕'}</span
    >`;
    return html`<th scope="col" role="columnheader" class=${kind} aria-sort=${order}>
      <button
        type="button"
        class="sort"
        title=${hint ?? nothing}
        @click=${() => this.#sort(id, isNumber)}
      >
        ${mark ?? nothing}${label}${arrow}
      </button>
    </th>`;
  }

  #sort(id: string, isNumber: boolean): void {
    // The first click sorts numbers in descending order and names in ascending order.
    this.#isAscending = id === this.#sortBy ? !this.#isAscending : !isNumber;
    this.#sortBy = id;
    this.#options.redraw();
  }

  #row(columns: readonly Column<Row>[], row: Row): View {
    const detail = this.#options.detail?.(row) ?? nothing;
    const [first, ...others] = columns;
    return html`<tr role="row" class=${detail === nothing ? '' : 'open'}>
        <th scope="row" role="rowheader">${first?.cell(row)}</th>
        ${others.map(
          ({ label, isNumber, cell }) =>
            html`<td
              role="cell"
              class=${isNumber ? 'number' : ''}
              data-label=${label.startsWith('(') ? '' : label}
            >
              ${cell(row)}
            </td>`,
        )}
      </tr>
      ${
        detail === nothing
          ? nothing
          : html`<tr role="row" class="detail">
              <td role="cell" colspan=${columns.length}>${detail}</td>
            </tr>`
      }`;
  }

  #foot(columns: readonly Column<Row>[], rows: number): View {
    const [, ...others] = columns;
    if (others.every(({ total }) => total === undefined)) return nothing;
    return html`<tfoot role="rowgroup">
      <tr role="row">
        <th scope="row" role="rowheader">
          Total${rows > 1 ? html` <small>of ${rows}</small>` : ''}
        </th>
        ${others.map(
          ({ label, isNumber, total }) =>
            html`<td role="cell" class=${isNumber ? 'number' : ''} data-label=${label}>
              ${total ?? nothing}
            </td>`,
        )}
      </tr>
    </tfoot>`;
  }

  #toggle(firstRows: number, rows: number): TemplateResult {
    const toggle = () => {
      this.#all = !this.#all;
      this.#options.redraw();
    };
    return html`<button
      type="button"
      class="plain"
      aria-expanded=${this.#all ? 'true' : 'false'}
      @click=${toggle}
    >
      ${this.#all ? `Show the first ${firstRows}` : `Show all ${rows}`}
    </button>`;
  }
}
