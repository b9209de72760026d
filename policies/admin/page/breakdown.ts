import { html, type TemplateResult } from 'lit-html';
import type { Budget, UsageGroup, UsageRow, UsageSums } from './answers.ts';
import { budgetMark } from './budgets.ts';
import { count, daysName, percent, ratio } from './format.ts';
import type { RangeUsage } from './headline.ts';
import { moneyFormat, type MoneyFormat } from './money.ts';
import { costLegend } from './overview.ts';
import { bar, empty, known, person, share, type View } from './parts.ts';
import { type Column, SortTable } from './sort-table.ts';

export interface BreakdownOptions {
  readonly group: Exclude<UsageGroup, 'day'>;
  readonly title: string;
  /** The text for a row without the group's value. */
  readonly absent: string;
  /** Returns the budgets that apply to exactly this value. */
  readonly budgetsOf: (value: string) => readonly Budget[];
  readonly redraw: () => void;
}

/** A table of costs by model or by consumer, the most saved first. */
export class Breakdown {
  readonly #options: BreakdownOptions;
  readonly #table: SortTable<UsageRow>;

  constructor(options: BreakdownOptions) {
    const { title, group, redraw } = options;
    this.#options = options;
    this.#table = new SortTable({
      label: `By ${title.toLowerCase()}`,
      kind: 'breakdown',
      key: (row) => String(row[group]),
      sortBy: 'saved',
      firstRows: 10,
      redraw,
    });
  }

  readonly view = ({ usage, range }: RangeUsage): View => {
    const { rows, total, previous } = usage;
    if (rows.length === 0) return empty('Nothing in these days.');
    const { group } = this.#options;
    const before = new Map(previous.rows.map((row) => [row[group], row.billed_cost]));
    const money = moneyFormat([total, ...rows].flatMap((row) => [row.saved_cost, row.billed_cost]));
    const most = Math.max(...rows.map(wholeCost));
    const columns = [
      this.#nameColumn(most),
      ...moneyColumns(total, money),
      {
        id: 'before',
        label: 'Billed before',
        hint: `Billed in the period before: ${daysName(previous)}`,
        isNumber: true,
        value: (row: UsageRow) => before.get(row[group]) ?? null,
        cell: (row: UsageRow) => known(before.get(row[group]), money),
        total: known(previous.total.billed_cost, money),
      },
      ...countColumns(total),
    ];
    return html`<p class="of-days"><span>${daysName(range)}</span> ${costLegend}</p>
      ${this.#table.view(columns, rows)}`;
  };

  #nameColumn(most: number): Column<UsageRow> {
    const { title, group, absent, budgetsOf } = this.#options;
    const nameOf = (row: UsageRow) =>
      (group === 'consumer_id' ? row.consumer_name : null) ?? row[group] ?? null;
    return {
      id: 'name',
      label: title,
      value: (row) => nameOf(row)?.toLowerCase() ?? null,
      cell: (row) =>
        html`${person(row[group], nameOf(row), absent)}
        ${budgetsOf(row[group] ?? '').map(budgetMark)} ${costBar(row, most)}`,
    };
  }
}

const wholeCost = (row: UsageSums) => (row.saved_cost ?? 0) + (row.billed_cost ?? 0);

/** A bar of saved and billed cost in the colours of the legend; the costliest row fills the column. */
const costBar = (row: UsageSums, most: number): TemplateResult =>
  bar(
    [
      { part: row.saved_cost ?? 0, kind: 'saved' },
      { part: row.billed_cost ?? 0, kind: 'billed' },
    ],
    most,
  );

function moneyColumns(total: UsageSums, money: MoneyFormat): Column<UsageRow>[] {
  const column = (id: string, label: string, of: (row: UsageSums) => number | null) => ({
    id,
    label,
    isNumber: true,
    value: of,
    cell: (row: UsageRow) => known(of(row), money),
    total: known(of(total), money),
  });
  const part = (row: UsageSums) => ratio(row.saved_cost ?? 0, wholeCost(row));
  return [
    column('saved', 'Saved', (row) => row.saved_cost),
    column('billed', 'Billed', (row) => row.billed_cost),
    {
      id: 'part',
      label: 'Share saved',
      hint: 'The share of what all answers would have cost without the cache',
      isNumber: true,
      value: part,
      cell: (row) => known(part(row), percent),
      total: known(part(total), percent),
    },
  ];
}

function countColumns(total: UsageSums): Column<UsageRow>[] {
  const column = (id: string, label: string, of: (row: UsageSums) => number) => ({
    id,
    label,
    isNumber: true,
    value: of,
    cell: (row: UsageRow) => count(of(row)),
    total: count(of(total)),
  });
  const rate = (row: UsageSums) => ratio(row.hits, row.requests);
  return [
    column('requests', 'Requests', (row) => row.requests),
    {
      id: 'rate',
      label: 'From the cache',
      hint: 'The share of the requests that the cache answered',
      isNumber: true,
      value: rate,
      cell: (row) => share(rate(row)),
      total: share(rate(total)),
    },
    column('saved-tokens', 'Saved tokens', (row) => row.saved_tokens),
    column('billed-tokens', 'Billed tokens', (row) => row.billed_tokens),
  ];
}
