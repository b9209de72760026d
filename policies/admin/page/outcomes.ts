import { html, type TemplateResult } from 'lit-html';
import type { OutcomeName, PipelineCounts } from '../../llm-cache/stats.ts';
import { asideReasons, refusalReasons } from '../../shared/reasons.ts';
import type { Stats } from './answers.ts';
import { count, ratio } from './format.ts';
import { bar, empty, name, prose, share, type View } from './parts.ts';
import { served } from './rates.ts';
import { type Column, SortTable } from './sort-table.ts';

/** The outcomes in the order of the bar, with their meanings. */
const outcomes: Readonly<Record<OutcomeName, string>> = {
  hit: 'answered from the cache',
  coalesced: 'read along with an identical request under way',
  stale: 'answered with an expired entry, because the provider failed',
  miss: 'answered by the provider',
  request: 'the client asked for a fresh answer',
  bypass: 'the cache stood aside',
};
const names = Object.keys(outcomes) as OutcomeName[];

type Pipelines = readonly (readonly [string, PipelineCounts])[];

type Pipeline = Pipelines[number];

/** A table of the outcomes in each pipeline. */
export class OutcomeTable {
  readonly #table: SortTable<Pipeline>;

  constructor(redraw: () => void) {
    this.#table = new SortTable<Pipeline>({
      label: 'Outcomes by pipeline',
      kind: 'outcomes',
      key: ([pipeline]) => pipeline,
      sortBy: 'requests',
      redraw,
    });
  }

  readonly view = ({ pipelines }: Stats): View => {
    const all: Pipelines = Object.entries(pipelines);
    if (all.length === 0) return empty('Nothing yet: no pipeline has an llm-cache step.');
    return html`<div class="card">${this.#table.view(columnsOf(all), all)}</div>
      <div class="pair">
        <div class="card">
          <h3>Why the cache stood aside</h3>
          ${reasonList(all, 'reasons', asideReasons)}
        </div>
        <div class="card">
          <h3>Why answers were not stored</h3>
          ${reasonList(all, 'notStored', refusalReasons)}
        </div>
      </div>`;
  };
}

function columnsOf(all: Pipelines): Column<Pipeline>[] {
  const sum = (of: (counts: PipelineCounts) => number) =>
    all.reduce((total, [, counts]) => total + of(counts), 0);
  const column = (
    parts: Pick<Column<Pipeline>, 'id' | 'label' | 'hint' | 'mark'>,
    of: (counts: PipelineCounts) => number,
  ): Column<Pipeline> => ({
    ...parts,
    isNumber: true,
    value: ([, counts]) => of(counts),
    cell: ([, counts]) =>
      of(counts) === 0 ? html`<span class="zero">0</span>` : html`${count(of(counts))}`,
    total: count(sum(of)),
  });
  const rate = (counts: PipelineCounts) => ratio(served(counts.outcomes), counts.requests);
  return [
    {
      id: 'pipeline',
      label: 'Pipeline',
      value: ([pipeline]) => pipeline,
      cell: ([pipeline, counts]) =>
        html`${name(pipeline, 'no name')}
        ${bar(
          names.map((kind) => ({ kind, part: counts.outcomes[kind] })),
          counts.requests,
        )}`,
    },
    column({ id: 'requests', label: 'Requests' }, ({ requests }) => requests),
    {
      id: 'rate',
      label: 'From the cache',
      isNumber: true,
      value: ([, counts]) => rate(counts),
      cell: ([, counts]) => share(rate(counts)),
      total: share(
        ratio(
          sum(({ outcomes: counts }) => served(counts)),
          sum(({ requests }) => requests),
        ),
      ),
    },
    ...names.map((outcome) =>
      column(
        {
          id: outcome,
          label: outcome,
          hint: outcomes[outcome],
          mark: html`<i class=${`swatch ${outcome}`}></i>`,
        },
        (counts) => counts.outcomes[outcome],
      ),
    ),
  ];
}

/** Lists reasons, the most frequent first, and names their pipelines if there are several. */
function reasonList(
  pipelines: Pipelines,
  member: 'reasons' | 'notStored',
  texts: Readonly<Record<string, string>>,
): TemplateResult {
  const found = new Map<string, { total: number; where: string[] }>();
  for (const [pipeline, counts] of pipelines) {
    for (const [reason, number] of Object.entries(counts[member])) {
      const one = found.get(reason) ?? { total: 0, where: [] };
      one.total += number;
      one.where.push(pipeline);
      found.set(reason, one);
    }
  }
  if (found.size === 0) return empty('Nothing yet.');
  const sorted = [...found].toSorted(([, one], [, other]) => other.total - one.total);
  const most = sorted[0]?.[1].total ?? 0;
  return html`<ul class="reasons">
    ${sorted.map(
      ([reason, { total, where }]) =>
        html`<li>
          <span class="reason"><code>${reason}</code><span>${count(total)}</span></span>
          ${bar([{ part: total, kind: 'neutral' }], most)}
          <p>
            ${prose(texts[reason] ?? 'a reason unknown to this page')}
            ${pipelines.length > 1 ? html`<small>(${where.join(', ')})</small>` : ''}
          </p>
        </li>`,
    )}
  </ul>`;
}
