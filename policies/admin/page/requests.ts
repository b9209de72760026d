import { html, nothing } from 'lit-html';
import { getRequest, told } from './api.ts';
import type { RequestDetail, RequestInfo, Requests } from './answers.ts';
import { count, latency, momentName, timeWithSeconds } from './format.ts';
import { moneyFormat, type MoneyFormat } from './money.ts';
import { empty, known, name, person, type View } from './parts.ts';
import { OpenKeys } from './nearest.ts';
import { requestDetail } from './request-detail.ts';
import { type Column, SortTable } from './sort-table.ts';

/** A table of recent requests with their outcomes; a click on one explains it. */
export class RequestTable {
  readonly #redraw: () => void;
  readonly #keys: OpenKeys;
  readonly #table: SortTable<RequestInfo>;
  /** The expanded requests by id, with their details or an error; null while loading. */
  readonly #open = new Map<string, RequestDetail | string | null>();

  constructor(redraw: () => void) {
    this.#redraw = redraw;
    this.#keys = new OpenKeys(redraw);
    this.#table = new SortTable<RequestInfo>({
      label: 'Recent requests',
      kind: 'requests',
      key: ({ id }) => id,
      sortBy: null,
      detail: (request) => this.#detail(request),
      redraw,
    });
  }

  readonly view = (found: Requests | null): View => {
    if (found === null) {
      return html`<p class="empty">Switched off: <code>admin.recentRequests</code> is 0.</p>`;
    }
    const { requests } = found;
    const shown = new Set(requests.map(({ id }) => id));
    for (const id of this.#open.keys()) if (!shown.has(id)) this.#open.delete(id);
    if (requests.length === 0) return empty('No request yet that matches.');
    // All costs in the table have the same precision.
    return this.#table.view(this.#columns(moneyFormat(requests.map(({ cost }) => cost))), requests);
  };

  #detail(request: RequestInfo): View {
    const detail = this.#open.get(request.id);
    if (detail === undefined) return nothing;
    if (detail === null) return html`<p class="hint" id=${detailId(request)}>Loading …</p>`;
    if (typeof detail === 'string') {
      return html`<p class="note bad" id=${detailId(request)} role="status">${detail}</p>`;
    }
    return html`<div id=${detailId(request)} role="status">
      ${requestDetail(detail, this.#keys)}
    </div>`;
  }

  #toggle({ id }: RequestInfo): void {
    if (this.#open.delete(id)) return this.#redraw();
    this.#open.set(id, null);
    this.#redraw();
    getRequest(id).then(
      (detail) => this.#setDetail(id, detail),
      (error: unknown) => this.#setDetail(id, `Not loaded: ${told(error)}`),
    );
  }

  #setDetail(id: string, detail: RequestDetail | string): void {
    // The user has collapsed it meanwhile.
    if (!this.#open.has(id)) return;
    this.#open.set(id, detail);
    this.#redraw();
  }

  #columns(money: MoneyFormat): Column<RequestInfo>[] {
    return [
      {
        id: 'time',
        label: 'Time',
        value: ({ time }) => time,
        cell: ({ time }) =>
          html`<time datetime=${time} title=${momentName(time)}
            >${timeWithSeconds(Date.parse(time))}</time
          >`,
      },
      {
        id: 'outcome',
        label: 'Outcome',
        value: ({ outcome }) => outcome,
        cell: (request) =>
          html`<i class=${`swatch ${request.outcome}`}></i>${request.outcome} ${reasonOf(request)}`,
      },
      {
        id: 'cost',
        label: 'Cost',
        hint: 'At list price; saved if the cache answered',
        isNumber: true,
        value: ({ cost }) => cost,
        cell: (request) => costOf(request, money),
      },
      {
        id: 'model',
        label: 'Model',
        value: (request) => modelOf(request),
        cell: (request) => name(modelOf(request), 'not known'),
      },
      {
        id: 'consumer',
        label: 'Consumer',
        value: ({ consumer, consumerName }) => consumerName ?? consumer,
        cell: ({ consumer, consumerName }) => person(consumer, consumerName, 'none'),
      },
      {
        id: 'pipeline',
        label: 'Pipeline',
        value: ({ pipeline }) => pipeline,
        cell: ({ pipeline }) => name(pipeline, 'none'),
      },
      {
        id: 'tokens',
        label: 'Tokens',
        isNumber: true,
        value: ({ totalTokens }) => totalTokens,
        cell: ({ totalTokens }) => known(totalTokens, count),
      },
      {
        id: 'latency',
        label: 'Took',
        isNumber: true,
        value: ({ durationMs }) => durationMs,
        cell: ({ durationMs }) => latency(durationMs),
      },
      { id: 'more', label: '(Details)', isNumber: true, cell: (request) => this.#button(request) },
    ];
  }

  #button(request: RequestInfo): View {
    const isOpen = this.#open.has(request.id);
    const label = isServed(request) ? 'Entry' : 'Why?';
    return html`<button
      type="button"
      class="small"
      aria-expanded=${isOpen ? 'true' : 'false'}
      aria-controls=${isOpen ? detailId(request) : nothing}
      aria-label=${`${label} ${request.outcome} at ${timeWithSeconds(Date.parse(request.time))}`}
      @click=${() => this.#toggle(request)}
    >
      ${label}
    </button>`;
  }
}

const detailId = ({ id }: RequestInfo) => `request-${id}`;

const modelOf = ({ model, requestedModel }: RequestInfo) => model ?? requestedModel;

/** Whether the cache answered the request. */
export const isServed = ({ outcome }: RequestInfo) =>
  outcome === 'hit' || outcome === 'coalesced' || outcome === 'stale';

function reasonOf({ reason, notStored, expired, outcome }: RequestInfo): View {
  if (reason !== null) return html`<code class="second">${reason}</code>`;
  if (notStored !== null)
    return html`<span class="second">not stored: <code>${notStored}</code></span>`;
  return expired && outcome === 'miss' ? html`<span class="second">expired</span>` : nothing;
}

function costOf(request: RequestInfo, money: MoneyFormat): View {
  const cost = known(request.cost, money);
  return isServed(request) ? html`<span class="gain">saved ${cost}</span>` : cost;
}
