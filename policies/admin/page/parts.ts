import { html, nothing, svg, type TemplateResult } from 'lit-html';
import { cost, compact, count, percent, shortKey } from './format.ts';

export type View = TemplateResult | typeof nothing;

const unknown = (why: string) =>
  html`<span class="unknown" title=${why}
    ><span aria-hidden="true">–</span><span class="spoken">${why}</span></span
  >`;

/** Formats a value or, if there is none, shows a dash with the reason. */
export const known = <T>(value: T | null | undefined, format: (value: T) => string) =>
  value === null || value === undefined ? unknown('not known') : html`${format(value)}`;

export const price = (usd: number | null) =>
  usd === null ? unknown('not priced') : html`<span title="$${usd}">${cost(usd)}</span>`;

export const amount = (value: number) => html`<span title=${count(value)}>${compact(value)}</span>`;

export const share = (ratio: number | null) =>
  ratio === null ? unknown('no requests') : html`${percent(ratio)}`;

/** Shows a client's name isolated, so that right-to-left text does not reorder its surroundings. */
export const name = (text: string | null | undefined, absent: string) =>
  text === null || text === undefined || text === ''
    ? html`<span class="absent">${absent}</span>`
    : html`<bdi class="name" title=${text}>${text}</bdi>`;

/** Shows a consumer by name, with the id as a tooltip, or by id if there is no name. */
export const person = (
  id: string | null | undefined,
  called: string | null | undefined,
  absent: string,
) =>
  called === null || called === undefined || id === called
    ? name(id, absent)
    : html`<bdi class="name" title=${id ?? ''}>${called}</bdi>`;

/** Shows the end of a key, which distinguishes it from others; a click shows the whole key. */
export const keyButton = (key: string, isOpen: boolean, toggle: () => void) =>
  html`<button
    type="button"
    class="key"
    aria-expanded=${isOpen ? 'true' : 'false'}
    title=${isOpen ? 'Hide the key' : 'Show the whole key'}
    @click=${(event: Event) => {
      event.stopPropagation();
      toggle();
    }}
  >
    <span class="spoken">Key </span><code>${isOpen ? key : shortKey(key)}</code>
  </button>`;

export const chips = (names: readonly string[]) =>
  names.map((one) => html`<code class="chip">${one}</code> `);

export const empty = (text: string) => html`<p class="empty">${text}</p>`;

export interface Slice {
  readonly part: number;
  /** A class of the style sheet. */
  readonly kind: string;
}

/**
 * Draws slices next to each other; `of` is the full width. It is decorative: the numbers are there
 * as text.
 */
export function bar(slices: readonly Slice[], of: number): TemplateResult {
  let x = 0;
  const rects = slices
    .filter(({ part }) => part > 0 && of > 0)
    .map(({ part, kind }) => {
      const [from, width] = [x, (100 * part) / of];
      x += width;
      return svg`<rect class=${kind} x=${`${from}%`} width=${`${width}%`} height="100%"></rect>`;
    });
  return html`<svg class="bar" aria-hidden="true">${rects}</svg>`;
}

/** Renders text between backquotes as code. */
export const prose = (text: string) =>
  text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));

/** Renders a choice as a row of buttons, one of them pressed. */
export function choice<T extends string | number>(
  label: string,
  options: readonly (readonly [T, string])[],
  chosen: T,
  choose: (value: T) => void,
): TemplateResult {
  return html`<div class="choice" role="group" aria-label=${label}>
    ${options.map(
      ([value, text]) =>
        html`<button
          type="button"
          aria-pressed=${value === chosen ? 'true' : 'false'}
          @click=${() => choose(value)}
        >
          ${text}
        </button>`,
    )}
  </div>`;
}
