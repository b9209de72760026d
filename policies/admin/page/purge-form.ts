import { html, render, type TemplateResult } from 'lit-html';
import type { Filter } from './answers.ts';
import { countMatches, purgeMatches, told } from './api.ts';
import { confirmed } from './confirm.ts';
import type { Tell } from './entries.ts';
import { count } from './format.ts';
import { name } from './parts.ts';
import { root } from './section.ts';

const members = ['namespace', 'model', 'consumer'] as const;
const labels = { namespace: 'Namespace', model: 'Model', consumer: 'Consumer' } as const;

/** Renders the form that purges by filter; it counts the matches and asks first. */
export function purgeForm(tell: Tell, purged: () => void): void {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    void purge(filterOf(new FormData(form)), tell).then((done) => {
      if (done) purged();
    });
  };
  render(
    html`<form class="fields" @submit=${submit}>
      ${members.map(
        (member) =>
          html`<label
            >${labels[member]}<input
              name=${member}
              autocomplete="off"
              placeholder=${member === 'consumer' ? 'any; a name or id' : 'any'}
          /></label>`,
      )}
      <button type="submit" class="danger">Purge …</button>
    </form>`,
    root('purge-form'),
  );
}

function filterOf(data: FormData): Filter {
  const given = members.flatMap((member) => {
    const value = data.get(member);
    return typeof value === 'string' && value !== '' ? [[member, value] as const] : [];
  });
  return Object.fromEntries(given);
}

async function purge(filter: Filter, tell: Tell): Promise<boolean> {
  const given = members.filter((member) => filter[member] !== undefined);
  if (given.length === 0) {
    tell('Say what to purge: a namespace, a model or a consumer.', 'bad');
    return false;
  }
  try {
    const { matched } = await countMatches(filter);
    if (matched === 0) {
      tell('No entry matches.', 'good');
      return false;
    }
    const entries = matched === 1 ? '1 entry' : `${count(matched)} entries`;
    const sure = await confirmed({
      title: `Purge ${entries}?`,
      note: 'The next identical requests go to the provider again, and are billed.',
      yes: `Purge ${entries}`,
      facts: given.map((member): [string, TemplateResult] => [
        labels[member],
        name(filter[member], 'any'),
      ]),
    });
    if (!sure) return false;
    const { deleted } = await purgeMatches(filter);
    tell(`Purged: ${deleted === 1 ? '1 entry' : `${count(deleted)} entries`}.`, 'good');
    return true;
  } catch (error) {
    tell(`Not purged: ${told(error)}`, 'bad');
    return true;
  }
}
