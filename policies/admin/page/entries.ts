import { html, nothing, type TemplateResult } from 'lit-html';
import { repeat } from 'lit-html/directives/repeat.js';
import {
  ApiError,
  purgeEntry,
  told,
  type Entries,
  type EntryInfo,
  type EntryOrder,
} from './api.ts';
import { confirmed } from './confirm.ts';
import { bytes, count, duration } from './format.ts';
import { amount, empty, keyName, name, scrolling, type View } from './parts.ts';

export type Tell = (text: string, kind: 'good' | 'bad') => void;

export function entriesView(
  { entries, complete }: Entries,
  purge: (entry: EntryInfo) => void,
): View {
  if (entries.length === 0) return empty('Nothing yet: no entry is stored.');
  return html`${
    complete
      ? nothing
      : html`<p class="note">
          There are more entries than were looked at: these are the first of a part.
        </p>`
  }
  ${scrolling('Entries', entryTable(entries, purge))}`;
}

export const orders: readonly (readonly [EntryOrder, string])[] = [
  ['bytes', 'Largest'],
  ['hits', 'Most used'],
];

/** The roles stay when a narrow screen shows the rows as cards. */
const entryTable = (entries: readonly EntryInfo[], purge: (entry: EntryInfo) => void) =>
  html`<table class="entries" role="table">
    <thead role="rowgroup">
      <tr role="row">
        <th scope="col" role="columnheader">Model and key</th>
        <th scope="col" role="columnheader">Namespace</th>
        <th scope="col" role="columnheader">Consumer</th>
        <th scope="col" role="columnheader" class="number">Size</th>
        <th scope="col" role="columnheader" class="number">Hits</th>
        <th scope="col" role="columnheader" class="number">Age</th>
        <th scope="col" role="columnheader" class="number">Fresh for</th>
        <th scope="col" role="columnheader"><span class="spoken">Purge</span></th>
      </tr>
    </thead>
    <tbody role="rowgroup">
      ${repeat(
        entries,
        // A row stays its entry's own, whatever the order: nobody purges what has just moved there.
        ({ store, key }) => `${store} ${key}`,
        (entry) =>
          html`<tr role="row">
            <th scope="row" role="rowheader">
              ${modelOf(entry)}
              <div class="second">
                ${keyName(entry.key)} ${entry.protocol}${entry.stream ? ', stream' : ''}
              </div>
            </th>
            <td role="cell" data-label="Namespace">
              ${name(entry.namespace, 'none')}
              <div class="second">in ${name(entry.store, 'a store')}</div>
            </td>
            <td role="cell" data-label="Consumer">${consumerOf(entry)}</td>
            <td role="cell" data-label="Size" class="number">${bytes(entry.bytes)}</td>
            <td role="cell" data-label="Hits" class="number">${amount(entry.hits)}</td>
            <td role="cell" data-label="Age" class="number" title=${entry.storedAt}>
              ${duration(entry.age)}
            </td>
            <td role="cell" data-label="Fresh for" class="number">${freshFor(entry)}</td>
            <td role="cell" class="number">
              <button
                type="button"
                class="small danger"
                aria-label=${`Purge ${entry.key}`}
                @click=${() => purge(entry)}
              >
                Purge
              </button>
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;

const modelOf = ({ model, requestedModel }: EntryInfo) => name(model ?? requestedModel, 'no model');
const consumerOf = ({ consumer }: EntryInfo) => name(consumer, 'none');

const freshFor = ({ ttl }: EntryInfo): TemplateResult =>
  ttl < 0 ? html`<span class="absent">expired</span>` : html`${duration(ttl)}`;

/** Asks, purges and tells; resolves to whether something may have changed. */
export async function purgeOne(entry: EntryInfo, tell: Tell): Promise<boolean> {
  const sure = await confirmed({
    title: 'Throw out this entry?',
    yes: 'Throw out',
    facts: [
      ['Key', html`<code>${entry.key}</code>`],
      ['Model', modelOf(entry)],
      ['Consumer', consumerOf(entry)],
      ['Namespace', name(entry.namespace, 'none')],
      ['Size', html`${bytes(entry.bytes)}, ${count(entry.hits)} hits`],
    ],
  });
  if (!sure) return false;
  try {
    const { deleted } = await purgeEntry(entry.key);
    tell(deleted > 0 ? `Thrown out: ${entry.key}` : 'The entry was gone already.', 'good');
  } catch (error) {
    if (error instanceof ApiError && error.status === 404)
      tell('The entry was gone already.', 'good');
    else tell(`Not thrown out: ${told(error)}`, 'bad');
  }
  return true;
}
