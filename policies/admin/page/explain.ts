import { html, nothing, render, type TemplateResult } from 'lit-html';
import type { Explanation, Question } from './answers.ts';
import { explain, told } from './api.ts';
import { nearestList, OpenKeys } from './nearest.ts';
import { name, person, prose } from './parts.ts';
import { root } from './section.ts';

/** Renders the form that asks what the cache would do with a request, without sending it. */
export function explainForm(): void {
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void answer(questionOf(new FormData(event.currentTarget as HTMLFormElement)));
  };
  render(
    html`<form class="fields" @submit=${submit}>
      <label
        >API endpoint<input name="apiEndpoint" autocomplete="off" required placeholder="openai"
      /></label>
      <label
        >Path<input name="path" autocomplete="off" required value="/v1/chat/completions"
      /></label>
      <label
        >Consumer<input name="consumer" autocomplete="off" placeholder="none; a name or id"
      /></label>
      <label class="wide"
        >Headers, one per line<textarea
          name="headers"
          rows="2"
          spellcheck="false"
          placeholder="anthropic-version: 2023-06-01"
        ></textarea>
      </label>
      <label class="wide"
        >Body<textarea
          name="body"
          rows="6"
          spellcheck="false"
          required
          placeholder='{"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi!"}]}'
        ></textarea>
      </label>
      <button type="submit" class="primary">Explain</button>
    </form>`,
    root('explain-form'),
  );
}

function questionOf(data: FormData): Question {
  const text = (member: string) => {
    const value = data.get(member);
    return typeof value === 'string' ? value : '';
  };
  const consumer = text('consumer').trim();
  return {
    apiEndpoint: text('apiEndpoint').trim(),
    path: text('path').trim(),
    headers: headersOf(text('headers')),
    ...(consumer === '' ? {} : { consumer }),
    body: text('body'),
  };
}

function headersOf(lines: string): Record<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines.split('\n')) {
    const [, field, value] = /^\s*([^:\s]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    if (field === undefined || value === undefined) continue;
    const before = headers.get(field.toLowerCase());
    headers.set(field.toLowerCase(), before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries(headers);
}

async function answer(question: Question): Promise<void> {
  const place = root('explain-result');
  try {
    const explanation = await explain(question);
    const draw = () => render(result(explanation, keys), place);
    const keys = new OpenKeys(() => draw());
    draw();
  } catch (error) {
    render(html`<p class="note bad">Not explained: ${told(error)}</p>`, place);
  }
}

function result(explanation: Explanation, keys: OpenKeys): TemplateResult {
  const { outcome, reason, rule, key, material, nearest, consumer } = explanation;
  return html`<dl class="answer">
      ${row('Outcome', html`<strong><i class=${swatchOf(outcome)}></i>${outcome}</strong>`)}
      ${reason === null ? nothing : row('Reason', html`<code>${reason}</code>`)}
      ${row('Why', html`${prose(rule)}`)}
      ${consumer === null ? nothing : row('Consumer', person(consumer.id, consumer.name, 'none'))}
      ${row('Key', key === null ? name(null, 'none') : html`<code>${key}</code>`)}
    </dl>
    ${nearestList(nearest, keys)}
    ${
      material === null
        ? nothing
        : html`<details>
            <summary>What the key is made of</summary>
            <pre tabindex="0">${JSON.stringify(material, null, 2)}</pre>
          </details>`
    }`;
}

const row = (label: string, value: TemplateResult) =>
  html`<div>
    <dt>${label}</dt>
    <dd>${value}</dd>
  </div>`;

/** Builds a class name only from plain letters, since the text comes from the API. */
const swatchOf = (outcome: string) => (/^[a-z]+$/.test(outcome) ? `swatch ${outcome}` : 'swatch');
