import { html, type TemplateResult } from 'lit-html';
import type { OutcomeName, PipelineCounts } from '../../llm-cache/stats.ts';
import { asideReasons, refusalReasons } from '../../shared/reasons.ts';
import type { Stats } from './api.ts';
import { ratio } from './format.ts';
import { amount, bar, empty, name, prose, scrolling, share, type View } from './parts.ts';
import { served } from './rates.ts';

/** In the order of the bar, each with what it means. */
const outcomes: Readonly<Record<OutcomeName, string>> = {
  hit: 'answered from the cache',
  coalesced: 'read along with an identical request under way',
  stale: 'answered with an expired entry, for the provider failed',
  miss: 'answered by the provider',
  request: 'the client asked for a fresh answer',
  bypass: 'the cache stood aside',
};
const names = Object.keys(outcomes) as OutcomeName[];

type Pipelines = readonly (readonly [string, PipelineCounts])[];

export function outcomesView({ pipelines }: Stats): View {
  const all: Pipelines = Object.entries(pipelines);
  if (all.length === 0) return empty('Nothing yet: no pipeline has an llm-cache step.');
  return html`<div class="card">${scrolling('Outcomes by pipeline', pipelineTable(all))}</div>
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
}

const pipelineTable = (pipelines: Pipelines) =>
  html`<table class="outcomes">
    <thead>
      <tr>
        <th scope="col">Pipeline</th>
        <th scope="col" class="number">Requests</th>
        <th scope="col" class="number">Hit rate</th>
        ${names.map(
          (outcome) =>
            html`<th scope="col" class="number" title=${outcomes[outcome]}>
              <i class=${`swatch ${outcome}`}></i>${outcome}
            </th>`,
        )}
      </tr>
    </thead>
    <tbody>
      ${pipelines.map(
        ([pipeline, counts]) =>
          html`<tr>
            <th scope="row">
              ${name(pipeline, 'no name')}
              ${bar(
                names.map((kind) => ({ kind, part: counts.outcomes[kind] })),
                counts.requests,
              )}
            </th>
            <td class="number">${amount(counts.requests)}</td>
            <td class="number">${share(ratio(served(counts.outcomes), counts.requests))}</td>
            ${names.map(
              (outcome) =>
                html`<td class=${counts.outcomes[outcome] === 0 ? 'number zero' : 'number'}>
                  ${amount(counts.outcomes[outcome])}
                </td>`,
            )}
          </tr>`,
      )}
    </tbody>
  </table>`;

/** The most frequent first, with where it happened when there are several pipelines. */
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
          <span class="reason"><code>${reason}</code>${amount(total)}</span>
          ${bar([{ part: total, kind: 'neutral' }], most)}
          <p>
            ${prose(texts[reason] ?? 'a reason that this page does not know')}
            ${pipelines.length > 1 ? html`<small>(${where.join(', ')})</small>` : ''}
          </p>
        </li>`,
    )}
  </ul>`;
}
