'use strict';

const { createHash, randomBytes } = require('node:crypto');

// What all the APIs of the demo's provider share: what it says, and how it counts and names it.

const sentences = [
  'The short answer is that it depends on who is asking.',
  'Ask once and remember, and you will seldom wait twice.',
  'Most of the cost of an answer lies in making it, not in sending it.',
  'Two people with the same question need not pay for it twice.',
  'What was true a minute ago is often true enough now.',
  'An answer that came broken is best forgotten at once.',
  'Every token here takes its time, so that you can see the difference.',
];

/** The plain text of a prompt, in any of the ways in which these APIs take one. */
function textOf(prompt) {
  if (typeof prompt === 'string') return prompt;
  if (Array.isArray(prompt)) return prompt.map(textOf).filter(Boolean).join(' ');
  if (typeof prompt !== 'object' || prompt === null) return '';
  return textOf(prompt.text ?? prompt.content ?? '');
}

/** What there is to say to a prompt: always the same words to the same one, a word a token. */
function answerTo(prompt, limit = Infinity) {
  const digest = createHash('sha256').update(JSON.stringify(prompt)).digest();
  const question = textOf(Array.isArray(prompt) ? prompt.at(-1) : prompt).slice(0, 60);
  const said = [0, 1, 2].map((at) => sentences[digest[at] % sentences.length]);
  const words = tokensOf(`You asked: "${question}". ${said.join(' ')}`);
  return { words: words.slice(0, limit), complete: words.length <= limit };
}

/** A text cut into words that, put together, are the text again. */
function tokensOf(text) {
  return text.match(/\s*\S+/g) ?? [];
}

/** Another one on every call, so that a replayed answer can be told from a new one. */
function freshId(prefix) {
  return prefix + randomBytes(12).toString('hex');
}

function now() {
  return Math.floor(Date.now() / 1000);
}

/** One event of a stream. Anthropic and the Responses API name it by its type. */
function sse(data, name) {
  return `${name ? `event: ${name}\n` : ''}data: ${JSON.stringify(data)}\n\n`;
}

function isLimit(value) {
  return value === undefined || value === null || (Number.isInteger(value) && value > 0);
}

function isFilled(value) {
  return (typeof value === 'string' || Array.isArray(value)) && value.length > 0;
}

module.exports = { answerTo, freshId, isFilled, isLimit, now, sse, textOf, tokensOf };
