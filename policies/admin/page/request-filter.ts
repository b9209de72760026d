import { html, render } from 'lit-html';
import type { RequestFilter } from './answers.ts';
import { root } from './section.ts';

const outcomes = ['hit', 'miss', 'coalesced', 'stale', 'request', 'bypass', 'pass'] as const;

/** The form that filters the recent requests and switches live updates on or off. */
export class RequestFilterForm {
  readonly #changed: () => void;
  #filter: RequestFilter = {};
  #pipelines: readonly string[] = [];
  isLive = true;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.#draw();
  }

  get filter(): RequestFilter {
    return this.#filter;
  }

  /** Sets the pipelines to choose from. */
  offer(pipelines: readonly string[]): void {
    if (pipelines.join('\n') === this.#pipelines.join('\n')) return;
    this.#pipelines = pipelines;
    this.#draw();
  }

  #draw(): void {
    const read = (form: HTMLFormElement) => {
      const given = [...new FormData(form)].flatMap(([field, value]) =>
        typeof value === 'string' && value.trim() !== '' ? [[field, value.trim()] as const] : [],
      );
      this.#filter = Object.fromEntries(given);
      this.#changed();
    };
    const submit = (event: SubmitEvent) => {
      event.preventDefault();
      read(event.currentTarget as HTMLFormElement);
    };
    const change = (event: Event) => read(event.currentTarget as HTMLFormElement);
    const live = (event: Event) => {
      this.isLive = (event.currentTarget as HTMLInputElement).checked;
      if (this.isLive) this.#changed();
    };
    render(
      html`<form class="filter" @submit=${submit} @change=${change}>
          <label
            >Outcome<select name="outcome">
              <option value="">any</option>
              ${outcomes.map((one) => html`<option value=${one}>${one}</option>`)}
            </select></label
          >
          <label
            >Pipeline<select name="pipeline">
              <option value="">any</option>
              ${this.#pipelines.map((one) => html`<option value=${one}>${one}</option>`)}
            </select></label
          >
          <label>Reason<input name="reason" autocomplete="off" placeholder="any" /></label>
          <label>Model<input name="model" autocomplete="off" placeholder="any" /></label>
          <label
            >Consumer<input name="consumer" autocomplete="off" placeholder="name or id"
          /></label>
        </form>
        <label class="check"
          ><input type="checkbox" .checked=${this.isLive} @change=${live} />Live</label
        >`,
      root('request-filter'),
    );
  }
}
