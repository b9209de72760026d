import { html, nothing, type TemplateResult } from 'lit-html';
import type { Near } from './answers.ts';
import { duration } from './format.ts';
import { chips, keyButton, name, person, type View } from './parts.ts';

/** Remembers which keys are shown in full. */
export class OpenKeys {
  readonly #open = new Set<string>();
  readonly #redraw: () => void;

  constructor(redraw: () => void) {
    this.#redraw = redraw;
  }

  readonly button = (key: string): TemplateResult =>
    keyButton(key, this.#open.has(key), () => {
      if (!this.#open.delete(key)) this.#open.add(key);
      this.#redraw();
    });
}

/** Replaces the names of parts that would be unclear to the user. */
const partWords: Readonly<Record<string, string>> = {
  scope: 'consumer or credential',
  namespace: 'the namespace',
  body: 'the body',
};

export function nearestList(nearest: readonly Near[], keys: OpenKeys): View {
  if (nearest.length === 0) return nothing;
  return html`<h3>Nearest stored requests</h3>
    <ul class="nearest">
      ${nearest.map(
        (near) =>
          html`<li>
            <span
              >${
                near.differs.length === 0
                  ? 'No difference'
                  : html`Differs in ${chips(near.differs.map((part) => partWords[part] ?? part))}`
              }</span
            >
            <span class="second"
              >${name(near.model, 'no model')}, stored ${duration(near.age)} ago for
              ${person(near.consumer, near.consumerName, 'no consumer')}
              ${keys.button(near.key)}</span
            >
          </li>`,
      )}
    </ul>`;
}
