import { html, nothing, render } from 'lit-html';
import type { Stats } from './answers.ts';
import { exportAddress, importEntries, told } from './api.ts';
import { confirmed } from './confirm.ts';
import type { Tell } from './entries.ts';
import { bytes, count } from './format.ts';
import { name } from './parts.ts';
import { root } from './section.ts';

/** The form that exports a store's entries to a file and imports them. */
export class TransferForm {
  readonly #tell: Tell;
  readonly #imported: () => void;
  #stores: readonly string[] = [];
  #store = '';
  #file: File | null = null;
  #isImporting = false;

  constructor(tell: Tell, imported: () => void) {
    this.#tell = tell;
    this.#imported = imported;
    this.#draw();
  }

  /** Sets the stores to choose from, without tiered ones, which have no entries of their own. */
  offer(stores: Stats['stores']): void {
    const names = Object.keys(stores).filter((store) => stores[store]?.type !== 'tiered');
    if (names.join('\n') === this.#stores.join('\n')) return;
    this.#stores = names;
    if (!names.includes(this.#store)) this.#store = names[0] ?? '';
    this.#draw();
  }

  #draw(): void {
    const submit = (event: SubmitEvent) => {
      event.preventDefault();
      void this.#import(event.currentTarget as HTMLFormElement);
    };
    const pick = (event: Event) => {
      this.#store = (event.target as HTMLSelectElement).value;
      this.#draw();
    };
    const choose = (event: Event) => {
      this.#file = (event.target as HTMLInputElement).files?.[0] ?? null;
      this.#draw();
    };
    render(
      html`<form class="transfer" @submit=${submit}>
        <label
          >Store<select @change=${pick}>
            ${this.#stores.map(
              (store) =>
                html`<option value=${store} ?selected=${store === this.#store}>${store}</option>`,
            )}
          </select></label
        >
        ${
          this.#store === ''
            ? nothing
            : html`<a class="button" href=${exportAddress(this.#store)} download>Export</a>`
        }
        <label class="file"
          >File to import<input type="file" accept=".snapshot" @change=${choose}
        /></label>
        <button type="submit" ?disabled=${this.#file === null || this.#isImporting}>
          ${this.#isImporting ? 'Importing …' : 'Import …'}
        </button>
      </form>`,
      root('transfer-form'),
    );
  }

  async #import(form: HTMLFormElement): Promise<void> {
    const file = this.#file;
    const store = this.#store;
    if (file === null || this.#isImporting) return;
    const sure = await confirmed({
      title: 'Import these entries?',
      facts: [
        ['File', html`${name(file.name, 'no name')}, ${bytes(file.size)}`],
        ['Store', name(store, 'none')],
      ],
      note: 'Expired entries are skipped. An entry in the store is replaced only by a newer one.',
      yes: 'Import',
    });
    if (!sure) return;
    this.#isImporting = true;
    this.#draw();
    try {
      const { imported, skipped, refused } = await importEntries(store, file);
      this.#tell(
        `Imported: ${count(imported)}. Skipped, as expired or there already: ${count(skipped)}. Too large: ${count(refused)}.`,
        'good',
      );
    } catch (error) {
      this.#tell(`Not imported: ${told(error)}`, 'bad');
    }
    this.#isImporting = false;
    this.#file = null;
    form.reset();
    this.#draw();
    this.#imported();
  }
}
