'use strict';

const { answerTo, freshId, isFilled, isLimit, now, sse, textOf, tokensOf } = require('./words');

/** OpenAI's Chat Completions. */
module.exports = {
  path: '/v1/chat/completions',

  complaint(body) {
    if (!Array.isArray(body.messages) || !isFilled(body.messages)) {
      return "'messages' must be a list with at least one message";
    }
    if (!isLimit(limitOf(body))) return "'max_completion_tokens' must be a positive integer";
    return null;
  },

  answer(body) {
    const { words, complete } = answerTo(body.messages, limitOf(body) ?? undefined);
    const [id, created] = [freshId('chatcmpl-'), now()];
    const head = (object) => ({ id, object, created, model: body.model });
    const finishReason = complete ? 'stop' : 'length';
    const usage = usageOf(tokensOf(textOf(body.messages)).length, words.length);
    return {
      tokens: words.length,
      json: {
        ...head('chat.completion'),
        choices: [
          {
            index: 0,
            message: { role: 'assistant', content: words.join(''), refusal: null, annotations: [] },
            logprobs: null,
            finish_reason: finishReason,
          },
        ],
        usage,
        service_tier: 'default',
        system_fingerprint: 'fp_demo',
      },
      frames: frames({ body, head, words, finishReason, usage }),
    };
  },
};

function* frames({ body, head, words, finishReason, usage }) {
  const withUsage = body.stream_options?.include_usage === true;
  const chunk = (choices, used = null) =>
    sse({
      ...head('chat.completion.chunk'),
      service_tier: 'default',
      system_fingerprint: 'fp_demo',
      choices,
      ...(withUsage ? { usage: used } : {}),
    });

  yield chunk(choice({ role: 'assistant', content: '', refusal: null }));
  for (const content of words) yield chunk(choice({ content }));
  yield chunk(choice({}, finishReason));
  if (withUsage) yield chunk([], usage);
  yield 'data: [DONE]\n\n';
}

function choice(delta, reason = null) {
  return [{ index: 0, delta, logprobs: null, finish_reason: reason }];
}

function limitOf(body) {
  return body.max_completion_tokens ?? body.max_tokens;
}

function usageOf(prompt, completion) {
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}
