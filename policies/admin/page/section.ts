import { html, nothing, render } from 'lit-html';
import { told } from './api.ts';
import { empty, type View } from './parts.ts';

export function root(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

/** A part of the page with data of its own: when that fails, the others and what it showed stay. */
export class Section<T> {
  readonly #root: HTMLElement;
  readonly #load: () => Promise<T>;
  readonly #view: (data: T) => View;
  #data: T | undefined;
  #error: string | null = null;
  #newest = 0;

  constructor(id: string, load: () => Promise<T>, view: (data: T) => View) {
    this.#root = root(id);
    this.#load = load;
    this.#view = view;
    this.draw();
  }

  refresh(): Promise<void> {
    return this.take(this.#load());
  }

  /** Shows what comes of it. */
  async take(coming: Promise<T>): Promise<void> {
    const own = ++this.#newest;
    try {
      const data = await coming;
      // The answer to an earlier question may come later.
      if (own !== this.#newest) return;
      this.#data = data;
      this.#error = null;
    } catch (error) {
      if (own !== this.#newest) return;
      this.#error = told(error);
    }
    this.draw();
  }

  draw(): void {
    const failed =
      this.#error === null
        ? nothing
        : html`<p class="note bad" role="status">
            Not loaded: ${this.#error}
            <button type="button" @click=${() => void this.refresh()}>Try again</button>
          </p>`;
    const shown =
      this.#data !== undefined
        ? this.#view(this.#data)
        : this.#error === null
          ? empty('Loading …')
          : nothing;
    render(html`${failed}${shown}`, this.#root);
  }
}
