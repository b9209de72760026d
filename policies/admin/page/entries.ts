import { html, nothing } from 'lit-html';
import { ApiError, purgeEntry, told } from './api.ts';
import type { Entries, EntryInfo, EntryOrder } from './answers.ts';
import { confirmed } from './confirm.ts';
import { bytes, count, duration, momentName } from './format.ts';
import { moneyFormat, type MoneyFormat } from './money.ts';
import { OpenKeys } from './nearest.ts';
import { chips, empty, known, name, person, type View } from './parts.ts';
import { type Column, SortTable } from './sort-table.ts';

export type Tell = (text: string, kind: 'good' | 'bad') => void;

export const orders: readonly (readonly [EntryOrder, string])[] = [
  ['saved', 'Saved most'],
  ['hits', 'Most used'],
  ['bytes', 'Largest'],
];

export interface EntryTableOptions {
  readonly purge: (entry: EntryInfo) => void;
  readonly redraw: () => void;
}

/** A table of the top stored entries, which shows models and request parts rather than digests. */
export class EntryTable {
  readonly #purge: (entry: EntryInfo) => void;
  readonly #keys: OpenKeys;
  readonly #table: SortTable<EntryInfo>;

  constructor({ purge, redraw }: EntryTableOptions) {
    this.#purge = purge;
    this.#keys = new OpenKeys(redraw);
    this.#table = new SortTable<EntryInfo>({
      label: 'Entries',
      kind: 'entries',
      // Ties each row's element to its entry, so that a click never purges an entry that just moved
      // there.
      key: ({ store, key }) => `${store} ${key}`,
      sortBy: null,
      redraw,
    });
  }

  readonly view = ({ entries, complete }: Entries): View => {
    if (entries.length === 0) return empty('Nothing yet: no entry is stored.');
    const money = moneyFormat(entries.flatMap(({ cost, saved }) => [cost, saved]));
    return html`${
      complete
        ? nothing
        : html`<p class="note">
            There are too many entries to search them all. These are the top ones of those searched.
          </p>`
    }
    ${this.#table.view(this.#columns(money), entries)}`;
  };

  #columns(money: MoneyFormat): Column<EntryInfo>[] {
    const number = (
      id: string,
      label: string,
      of: (entry: EntryInfo) => number | null,
      show: (value: number) => string,
    ): Column<EntryInfo> => ({
      id,
      label,
      isNumber: true,
      value: of,
      cell: (entry) => known(of(entry), show),
    });
    return [
      {
        id: 'model',
        label: 'Model and request',
        value: (entry) => entry.model ?? entry.requestedModel,
        cell: (entry) =>
          html`${modelOf(entry)}
            <div class="second">${entry.protocol}: ${chips(partsOf(entry))}</div>
            ${this.#keys.button(entry.key)}`,
      },
      number('saved', 'Saved', (entry) => entry.saved, money),
      number('cost', 'A hit saves', (entry) => entry.cost, money),
      number('hits', 'Hits', (entry) => entry.hits, count),
      number('tokens', 'Tokens', (entry) => entry.tokens, count),
      {
        id: 'stored',
        label: 'Stored',
        value: ({ storedAt }) => storedAt,
        cell: (entry) =>
          html`<time datetime=${entry.storedAt} title=${`${duration(entry.age)} ago`}
              >${momentName(entry.storedAt)}</time
            >
            <div class="second">${freshFor(entry)}</div>`,
      },
      {
        id: 'consumer',
        label: 'Consumer',
        value: (entry) => entry.consumerName ?? entry.consumer,
        cell: consumerOf,
      },
      {
        id: 'namespace',
        label: 'Namespace',
        value: (entry) => entry.namespace,
        cell: (entry) =>
          html`${name(entry.namespace, 'none')}
            <div class="second">in ${name(entry.store, 'a store')}</div>`,
      },
      number('bytes', 'Size', (entry) => entry.bytes, bytes),
      {
        id: 'purge',
        label: '(Purge)',
        isNumber: true,
        cell: (entry) =>
          html`<button
            type="button"
            class="small danger"
            aria-label=${`Purge ${entry.model ?? entry.requestedModel ?? 'entry'} stored ${momentName(entry.storedAt)}`}
            @click=${() => this.#purge(entry)}
          >
            Purge
          </button>`,
      },
    ];
  }
}

/** Returns the parts that characterize a request, without those that nearly every request has. */
export const partsOf = ({ parts, stream }: EntryInfo) => [
  ...(stream ? ['stream'] : []),
  ...parts.filter((part) => !['path', 'stream', 'model'].includes(part)),
];

const modelOf = ({ model, requestedModel }: EntryInfo) => name(model ?? requestedModel, 'no model');
const consumerOf = ({ consumer, consumerName }: EntryInfo) =>
  person(consumer, consumerName, 'none');

const freshFor = ({ ttl }: EntryInfo) => (ttl < 0 ? 'expired' : `fresh for ${duration(ttl)}`);

/** Asks, purges and reports the result. Resolves to whether the store may have changed. */
export async function purgeOne(entry: EntryInfo, tell: Tell): Promise<boolean> {
  const sure = await confirmed({
    title: 'Purge this entry?',
    note: 'The next identical request goes to the provider again, and is billed.',
    yes: 'Purge',
    facts: [
      ['Model', modelOf(entry)],
      ['Stored', html`${momentName(entry.storedAt)}`],
      ['Consumer', consumerOf(entry)],
      ['Namespace', name(entry.namespace, 'none')],
      ['Size', html`${bytes(entry.bytes)}, ${count(entry.hits)} hits`],
      ['Key', html`<code>${entry.key}</code>`],
    ],
  });
  if (!sure) return false;
  try {
    const { deleted } = await purgeEntry(entry.key);
    tell(deleted > 0 ? `Purged: ${entry.key}` : 'The entry was gone already.', 'good');
  } catch (error) {
    if (error instanceof ApiError && error.status === 404)
      tell('The entry was gone already.', 'good');
    else tell(`Not purged: ${told(error)}`, 'bad');
  }
  return true;
}
