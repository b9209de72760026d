import { html, nothing, svg, type TemplateResult } from 'lit-html';
import { cost, compact, count, percent, shortKey } from './format.ts';

export type View = TemplateResult | typeof nothing;

const unknown = (why: string) =>
  html`<span class="unknown" title=${why}
    ><span aria-hidden="true">–</span><span class="spoken">${why}</span></span
  >`;

/** A number or, where there is none, a dash that says why. */
export const known = <T>(value: T | null | undefined, format: (value: T) => string) =>
  value === null || value === undefined ? unknown('not known') : html`${format(value)}`;

export const price = (usd: number | null) =>
  usd === null ? unknown('not priced') : html`<span title="$${usd}">${cost(usd)}</span>`;

export const amount = (value: number) => html`<span title=${count(value)}>${compact(value)}</span>`;

export const share = (ratio: number | null) =>
  ratio === null ? unknown('no requests') : html`${percent(ratio)}`;

/** A name from outside, kept from turning the text around it. */
export const name = (text: string | null | undefined, absent: string) =>
  text === null || text === undefined || text === ''
    ? html`<span class="absent">${absent}</span>`
    : html`<bdi class="name">${text}</bdi>`;

export const keyName = (key: string) =>
  html`<code class="key" title=${key}>${shortKey(key)}</code>`;

export const empty = (text: string) => html`<p class="empty">${text}</p>`;

export interface Slice {
  readonly part: number;
  /** A class of the style sheet. */
  readonly kind: string;
}

/** Slices beside each other, `of` filling the whole width. The numbers stand beside it as text. */
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

/** The words between backquotes as code. */
export const prose = (text: string) =>
  text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));

/** One of a few: a row of buttons, one of them pressed. */
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

/** A wide table scrolls in here, also by keyboard. */
export const scrolling = (label: string, table: TemplateResult) =>
  html`<div class="scroll" role="region" tabindex="0" aria-label=${label}>${table}</div>`;
