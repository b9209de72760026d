'use strict';

const { answerTo, freshId, isFilled, isLimit, sse, textOf, tokensOf } = require('./words');

/** Anthropic's Messages. */
module.exports = {
  path: '/v1/messages',

  complaint(body) {
    if (!Array.isArray(body.messages) || !isFilled(body.messages)) {
      return 'messages: at least one message is required';
    }
    if (body.max_tokens === undefined) return 'max_tokens: Field required';
    if (!isLimit(body.max_tokens)) return 'max_tokens: Input should be a positive integer';
    return null;
  },

  // The only one of these APIs whose errors have a shape of their own.
  error: (type, message) => ({ type: 'error', error: { type, message } }),

  answer(body) {
    const { words, complete } = answerTo(body.messages, body.max_tokens);
    const input = tokensOf(textOf(body.messages)).length;
    const message = { model: body.model, id: freshId('msg_'), type: 'message', role: 'assistant' };
    const end = { stop_reason: complete ? 'end_turn' : 'max_tokens', stop_sequence: null };
    return {
      tokens: words.length,
      json: {
        ...message,
        content: [{ type: 'text', text: words.join('') }],
        ...end,
        usage: usageOf(input, words.length),
      },
      frames: frames({ message, words, end, input }),
    };
  },
};

function* frames({ message, words, end, input }) {
  const open = { ...message, content: [], stop_reason: null, stop_sequence: null };

  yield event({ type: 'message_start', message: { ...open, usage: usageOf(input, 1) } });
  yield event({
    type: 'content_block_start',
    index: 0,
    content_block: { type: 'text', text: '' },
  });
  yield event({ type: 'ping' });
  for (const text of words) {
    yield event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  }
  yield event({ type: 'content_block_stop', index: 0 });
  yield event({ type: 'message_delta', delta: end, usage: { output_tokens: words.length } });
  yield event({ type: 'message_stop' });
}

function event(data) {
  return sse(data, data.type);
}

function usageOf(input, output) {
  return {
    input_tokens: input,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: output,
    service_tier: 'standard',
  };
}
