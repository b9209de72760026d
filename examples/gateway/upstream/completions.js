'use strict';

const { answerTo, freshId, isFilled, isLimit, now, sse, textOf, tokensOf } = require('./words');

/** OpenAI's older Completions; without a limit they end after 16 tokens. */
module.exports = {
  path: '/v1/completions',

  complaint(body) {
    if (!isFilled(body.prompt)) return "'prompt' must be a text or a list";
    if (!isLimit(body.max_tokens)) return "'max_tokens' must be a positive integer";
    return null;
  },

  answer(body) {
    const { words, complete } = answerTo(body.prompt, body.max_tokens ?? 16);
    const common = { id: freshId('cmpl-'), object: 'text_completion', created: now() };
    const finishReason = complete ? 'stop' : 'length';
    const prompt = tokensOf(textOf(body.prompt)).length;
    const usage = {
      prompt_tokens: prompt,
      completion_tokens: words.length,
      total_tokens: prompt + words.length,
    };
    return {
      tokens: words.length,
      json: {
        ...common,
        model: body.model,
        choices: [{ text: words.join(''), index: 0, logprobs: null, finish_reason: finishReason }],
        usage,
      },
      frames: frames({ body, common, words, finishReason, usage }),
    };
  },
};

function* frames({ body, common, words, finishReason, usage }) {
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (choices, used = null) =>
    sse({ ...common, choices, model: body.model, ...(withUsage ? { usage: used } : {}) });

  for (const [at, text] of words.entries()) {
    const reason = at === words.length - 1 ? finishReason : null;
    yield chunk([{ text, index: 0, logprobs: null, finish_reason: reason }]);
  }
  if (withUsage) yield chunk([], usage);
  yield 'data: [DONE]\n\n';
}
