'use strict';

const { answerTo, freshId, isFilled, isLimit, now, sse, textOf, tokensOf } = require('./words');

/** OpenAI's Responses. */
module.exports = {
  path: '/v1/responses',

  complaint(body) {
    if (!isFilled(body.input)) return "'input' must be a text or a list";
    if (!isLimit(body.max_output_tokens)) return "'max_output_tokens' must be a positive integer";
    return null;
  },

  answer(body) {
    const { words, complete } = answerTo(body.input, body.max_output_tokens ?? undefined);
    const text = words.join('');
    const item = { id: freshId('msg_'), type: 'message', role: 'assistant' };
    const started = responseOf(body);
    const ended = {
      ...started,
      status: complete ? 'completed' : 'incomplete',
      incomplete_details: complete ? null : { reason: 'max_output_tokens' },
      output: [{ ...item, status: complete ? 'completed' : 'incomplete', content: [part(text)] }],
      usage: usageOf(tokensOf(textOf(body.input)).length, words.length),
    };
    return { tokens: words.length, json: ended, frames: frames({ started, item, words, ended }) };
  },
};

function responseOf(body) {
  return {
    id: freshId('resp_'),
    object: 'response',
    created_at: now(),
    status: 'in_progress',
    background: false,
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: body.model,
    output: [],
    parallel_tool_calls: true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: 'disabled',
    usage: null,
    user: body.user ?? null,
    metadata: body.metadata ?? {},
  };
}

function part(text) {
  return { type: 'output_text', annotations: [], logprobs: [], text };
}

function* frames({ started, item, words, ended }) {
  let number = 0;
  const event = (type, rest) => sse({ type, sequence_number: number++, ...rest }, type);
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const text = words.join('');

  yield event('response.created', { response: started });
  yield event('response.in_progress', { response: started });
  yield event('response.output_item.added', {
    output_index: 0,
    item: { ...item, status: 'in_progress', content: [] },
  });
  yield event('response.content_part.added', { ...place, part: part('') });
  for (const delta of words) {
    yield event('response.output_text.delta', { ...place, delta, logprobs: [] });
  }
  yield event('response.output_text.done', { ...place, text, logprobs: [] });
  yield event('response.content_part.done', { ...place, part: part(text) });
  yield event('response.output_item.done', { output_index: 0, item: ended.output[0] });
  yield event(`response.${ended.status}`, { response: ended });
}

function usageOf(input, output) {
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input + output,
  };
}
