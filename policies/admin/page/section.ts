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
  /** The element that it fills. */
  readonly id: string;
  /** What it is, where no heading of its own says so while it is not there. */
  readonly title?: string;
  readonly load: () => Promise<T>;
  readonly view: (data: T) => View;
  /** What the data is of, in words: "the last 7 days". */
  readonly about?: (data: T) => string;
}

interface Loaded<T> {
  readonly data: T;
  readonly at: number;
}

/**
 * A part of the page with data of its own. What it shows stays when it cannot be loaded anew, and
 * while another question is not yet answered: then it is dimmed, and says of what and when it is.
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

  /** Loads again what it shows. */
  refresh(): Promise<void> {
    return this.take(this.#options.load());
  }

  /** Loads what answers another question; until then it shows the answer to the one before, as such. */
  ask(): Promise<void> {
    this.#isAsking = true;
    this.draw();
    return this.refresh();
  }

  /** Shows what comes of it. */
  async take(coming: Promise<T>): Promise<void> {
    const own = ++this.#newest;
    try {
      const data = await coming;
      // The answer to an earlier question may come later.
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

  /** What it shows may be out of date: another part has found the gateway away. */
  lose(error: unknown): void {
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
