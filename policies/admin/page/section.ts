import { html, nothing, render } from 'lit-html';
import { told } from './api.ts';
import { timeOfDay } from './format.ts';
import { empty, type View } from './parts.ts';

export function root(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}

export interface SectionOptions<T> {
  /** The id of the element to fill. */
  readonly id: string;
  /** Names the section in error messages, if it has no heading that always shows. */
  readonly title?: string;
  readonly load: () => Promise<T>;
  readonly view: (data: T) => View;
  /** Says what the data covers, for example “the last 7 days”. */
  readonly about?: (data: T) => string;
}

interface Loaded<T> {
  readonly data: T;
  readonly at: number;
}

/**
 * A part of the page that loads its own data. If a reload fails, or while the answer to another
 * question is loading, it keeps the old content dimmed and says what that covers and from when it is.
 */
export class Section<T> {
  readonly #root: HTMLElement;
  readonly #options: SectionOptions<T>;
  #loaded: Loaded<T> | null = null;
  #error: string | null = null;
  #isAsking = false;
  #newest = 0;

  constructor(options: SectionOptions<T>) {
    this.#root = root(options.id);
    this.#options = options;
    this.draw();
  }

  /** Reloads the data. */
  refresh(): Promise<void> {
    return this.take(this.#options.load());
  }

  /** Loads the answer to another question; until it arrives, marks the content as old. */
  ask(): Promise<void> {
    this.#isAsking = true;
    this.draw();
    return this.refresh();
  }

  /** Shows the data or the error of a call. */
  async take(coming: Promise<T>): Promise<void> {
    const own = ++this.#newest;
    try {
      const data = await coming;
      // A newer call has started: ignore this answer.
      if (own !== this.#newest) return;
      this.#loaded = { data, at: Date.now() };
      this.#error = null;
    } catch (error) {
      if (own !== this.#newest) return;
      this.#error = told(error);
    }
    this.#isAsking = false;
    this.draw();
  }

  /** Marks the content as possibly out of date, after another section could not reach the gateway. */
  markStale(error: unknown): void {
    this.#error = told(error);
    this.draw();
  }

  draw(): void {
    const { view } = this.#options;
    const isOld = this.#error !== null || this.#isAsking;
    const shown =
      this.#loaded === null
        ? this.#error === null
          ? empty('Loading …')
          : nothing
        : html`${isOld ? this.#age(this.#loaded) : nothing}
            <div class=${isOld ? 'old' : 'current'} aria-busy=${this.#isAsking ? 'true' : 'false'}>
              ${view(this.#loaded.data)}
            </div>`;
    render(html`${this.#failure()}${shown}`, this.#root);
  }

  #failure(): View {
    if (this.#error === null) return nothing;
    return html`<p class="note bad" role="status">
      <span>${this.#title()}Not loaded: ${this.#error}</span>
      <button type="button" @click=${() => void this.refresh()}>Try again</button>
    </p>`;
  }

  #title(): View {
    const { title } = this.#options;
    return title === undefined ? nothing : html`<strong>${title}.</strong> `;
  }

  #age({ data, at }: Loaded<T>): View {
    const about = this.#options.about?.(data);
    return html`<p class="as-of">
      ${about === undefined ? 'These figures are' : html`These figures are of ${about},`} as of
      <time datetime=${new Date(at).toISOString()}>${timeOfDay(at)}</time>.
    </p>`;
  }
}
