import { html, nothing, render } from 'lit-html';
import { csvAddress } from './api.ts';
import { dayOf, lastDays, monthBefore, type Range } from './days.ts';
import { daysName, monthName } from './format.ts';
import { choice } from './parts.ts';
import { root } from './section.ts';

/** A choice of days, computed anew at each use since most move with time. */
interface Chosen {
  readonly id: string;
  readonly name: () => string;
  readonly days: () => Range;
}

/** A range of days and its name. */
export interface NamedRange extends Range {
  readonly name: string;
}

const recentDays = (days: number): Chosen => ({
  id: String(days),
  name: () => `the last ${days} days`,
  days: () => lastDays(days),
});
const month = (before: number): Chosen => ({
  id: `month-${before}`,
  name: () => monthName(monthBefore(before).from),
  days: () => monthBefore(before),
});
const fixed = (days: Range): Chosen => ({
  id: 'other',
  name: () => daysName(days),
  days: () => days,
});

const choices: readonly (readonly [string, string, Chosen | null])[] = [
  ['7', '7 days', recentDays(7)],
  ['30', '30 days', recentDays(30)],
  ['90', '90 days', recentDays(90)],
  ['month-0', 'This month', month(0)],
  ['month-1', 'Last month', month(1)],
  ['other', 'Other …', null],
];
const monthsBack = 12;

/** The control that chooses the days of all money figures. */
export class RangeChoice {
  readonly #changed: () => void;
  #chosen: Chosen = recentDays(7);
  #isOpen = false;

  constructor(changed: () => void) {
    this.#changed = changed;
    this.draw();
  }

  get current(): NamedRange {
    return { ...this.#chosen.days(), name: this.#chosen.name() };
  }

  draw(): void {
    const { from, to } = this.current;
    const pick = (id: string) => {
      const chosen = choices.find(([one]) => one === id)?.[2];
      if (chosen === null || chosen === undefined) {
        this.#isOpen = true;
        this.draw();
        root('range').querySelector<HTMLElement>('select')?.focus();
      } else this.#choose(chosen);
    };
    const options = choices.map(([id, label]) => [id, label] as const);
    const pressed = this.#isOpen ? 'other' : this.#chosen.id;
    render(
      html`<div class="controls">
          ${choice('Days', options, pressed, pick)}
          <a class="button" href=${csvAddress(from, to)} download
            >Download <abbr title="comma-separated values, for a spreadsheet">CSV</abbr></a
          >
        </div>
        ${this.#isOpen ? this.#form() : nothing}`,
      root('range'),
    );
  }

  #choose(chosen: Chosen): void {
    this.#chosen = chosen;
    this.#isOpen = chosen.id === 'other';
    this.draw();
    this.#changed();
  }

  #form() {
    const months = Array.from({ length: monthsBack }, (_, at) => month(at));
    const { from, to } = this.current;
    const today = dayOf(Date.now());
    const submit = (event: SubmitEvent) => {
      event.preventDefault();
      const data = new FormData(event.currentTarget as HTMLFormElement);
      const [first, last] = [data.get('from'), data.get('to')];
      if (typeof first !== 'string' || typeof last !== 'string' || first === '') return;
      if (last === '') return;
      this.#choose(fixed(first <= last ? { from: first, to: last } : { from: last, to: first }));
    };
    const pickMonth = (event: Event) => {
      const at = Number((event.currentTarget as HTMLSelectElement).value);
      const chosen = months[at];
      if (chosen !== undefined) this.#choose({ ...chosen, id: 'other' });
    };
    return html`<form class="other-days" @submit=${submit}>
      <label
        >Month<select @change=${pickMonth}>
          <option value="">Choose …</option>
          ${months.map((one, at) => html`<option value=${at}>${one.name()}</option>`)}
        </select></label
      >
      <label>From<input type="date" name="from" required .value=${from} max=${today} /></label>
      <label
        >To<input type="date" name="to" required .value=${to > today ? today : to} max=${today}
      /></label>
      <button type="submit">Show</button>
    </form>`;
  }
}
