import { html, nothing, type TemplateResult } from 'lit-html';
import { asideReasons, refusalReasons } from '../../shared/reasons.ts';
import type { EntryInfo, RequestDetail, RequestInfo } from './answers.ts';
import { partsOf } from './entries.ts';
import { bytes, count, duration, momentName } from './format.ts';
import { moneyFormat } from './money.ts';
import { nearestList, type OpenKeys } from './nearest.ts';
import { chips, known, name, prose, type View } from './parts.ts';

const texts: Readonly<Record<string, string>> = { ...refusalReasons, ...asideReasons };

/** Shows why a request had its outcome, and the entry under its key. */
export function requestDetail(
  { request, entry, nearest }: RequestDetail,
  keys: OpenKeys,
): TemplateResult {
  return html`<p>${why(request)}</p>
    ${request.notStored === null ? nothing : html`<p>Its answer was not stored: ${reason(request.notStored)}.</p>`}
    ${entryView(request, entry, keys)} ${nearestList(nearest, keys)}
    <p class="second">
      Status
      ${request.status}${request.requestId === null ? nothing : html`, request id <code>${request.requestId}</code>`}
    </p>`;
}

const reason = (word: string) => html`${prose(texts[word] ?? word)} (<code>${word}</code>)`;

function why({ outcome, reason: word, expired }: RequestInfo): View {
  const because = word === null ? nothing : html`: ${reason(word)}`;
  switch (outcome) {
    case 'hit':
      return html`The cache answered it from this entry:`;
    case 'coalesced':
      return html`It read along with an identical request that was under way${because}.`;
    case 'stale':
      return html`The provider failed, and an expired entry answered in its place.`;
    case 'miss':
      if (word !== null) return html`The provider answered it${because}.`;
      return expired
        ? html`The provider answered it: what was stored under its key had expired.`
        : html`The provider answered it: nothing was stored under its key.`;
    case 'request':
      return html`The client asked for a fresh answer${because}.`;
    case 'bypass':
      return html`The cache stood aside${because}.`;
    case 'pass':
      return html`No llm-cache step of the pipeline took it: there is none, or its condition did not
      hold.`;
    case 'left':
      return html`The client left before the cache had decided.`;
  }
}

function entryView(request: RequestInfo, entry: EntryInfo | null, keys: OpenKeys): View {
  if (request.key === null) return nothing;
  if (entry === null) {
    return html`<p>Nothing is stored under its key now. ${keys.button(request.key)}</p>`;
  }
  const isOwn = request.outcome === 'miss' && request.notStored === null;
  return html`${isOwn ? html`<p>Its answer is stored now:</p>` : nothing}
    <dl class="entry-facts">
      ${fact('Model', name(entry.model ?? entry.requestedModel, 'no model'))}
      ${fact('Stored', html`${momentName(entry.storedAt)}, ${duration(entry.age)} ago`)}
      ${fact('Hits', html`${count(entry.hits)}`)} ${fact('Tokens', known(entry.tokens, count))}
      ${fact('A hit saves', known(entry.cost, moneyFormat([entry.cost])))}
      ${fact('Size', html`${bytes(entry.bytes)}`)}
      ${fact('Request', html`${chips(partsOf(entry))}`)} ${fact('Key', keys.button(entry.key))}
    </dl>`;
}

const fact = (label: string, value: View) =>
  html`<div>
    <dt>${label}</dt>
    <dd>${value}</dd>
  </div>`;
