import { html, render, type TemplateResult } from 'lit-html';
import { root } from './section.ts';

export interface Confirmation {
  readonly title: string;
  readonly facts: readonly (readonly [string, TemplateResult])[];
  /** Says what the action leads to. */
  readonly note: string;
  readonly yes: string;
}

/** Asks the user to confirm a change; Escape means no. */
export function confirmed({ title, facts, note, yes }: Confirmation): Promise<boolean> {
  const dialog = root('confirm') as HTMLDialogElement;
  render(
    html`<h2 id="confirm-title">${title}</h2>
      <dl>
        ${facts.map(
          ([label, value]) =>
            html`<div>
              <dt>${label}</dt>
              <dd>${value}</dd>
            </div>`,
        )}
      </dl>
      <p>${note}</p>
      <div class="buttons">
        <button type="button" autofocus @click=${() => dialog.close('no')}>Cancel</button>
        <button type="button" class="danger" @click=${() => dialog.close('yes')}>${yes}</button>
      </div>`,
    dialog,
  );
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
