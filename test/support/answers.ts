// Small answers in each provider's format. Where an API counts tokens, it reports 11 in and, for
// text, 5 out.

function events(...payloads: readonly (object | string)[]): string {
  return payloads
    .map((payload) => {
      if (typeof payload === 'string') return `data: ${payload}\n\n`;
      const type = (payload as { type?: unknown }).type;
      const name = typeof type === 'string' ? `event: ${type}\n` : '';
      return `${name}data: ${JSON.stringify(payload)}\n\n`;
    })
    .join('');
}

const chatUsage = {
  prompt_tokens: 11,
  completion_tokens: 5,
  total_tokens: 16,
  prompt_tokens_details: { cached_tokens: 4 },
};

function chatChunk(
  delta: object | null,
  finish: string | null,
  usage: object | null = null,
): object {
  return {
    id: 'chatcmpl-stream',
    object: 'chat.completion.chunk',
    created: 1770933883,
    model: 'gpt-4o-2024-08-06',
    choices: delta === null ? [] : [{ index: 0, delta, logprobs: null, finish_reason: finish }],
    usage,
  };
}

const response = (id: string, status: string) => ({
  id,
  object: 'response',
  created_at: 1770803604,
  status,
  error: null,
  model: 'gpt-4o-2024-08-06',
  output:
    status === 'completed'
      ? [
          {
            id: 'msg_1',
            type: 'message',
            status,
            role: 'assistant',
            content: [{ type: 'output_text', text: 'Hello there!', annotations: [] }],
          },
        ]
      : [],
  usage:
    status === 'completed'
      ? {
          input_tokens: 11,
          input_tokens_details: { cached_tokens: 4 },
          output_tokens: 5,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: 16,
        }
      : null,
});

const geminiPart = (id: string, text: string, more: object, counts: object) => ({
  candidates: [{ content: { parts: [{ text }], role: 'model' }, index: 0, ...more }],
  usageMetadata: {
    promptTokenCount: 11,
    cachedContentTokenCount: 4,
    ...counts,
    promptTokensDetails: [{ modality: 'TEXT', tokenCount: 11 }],
    serviceTier: 'standard',
  },
  modelVersion: 'gemini-2.5-flash',
  responseId: id,
});

export const answers = {
  chat: {
    json: JSON.stringify({
      id: 'chatcmpl-json',
      object: 'chat.completion',
      created: 1770933883,
      model: 'gpt-4o-2024-08-06',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Hello there!', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: chatUsage,
    }),
    sse: events(
      chatChunk({ role: 'assistant', content: '' }, null),
      chatChunk({ content: 'Hello' }, null),
      chatChunk({ content: ' there!' }, null),
      chatChunk({}, 'stop'),
      chatChunk(null, null, chatUsage),
      '[DONE]',
    ),
  },
  completions: {
    json: JSON.stringify({
      id: 'cmpl-json',
      object: 'text_completion',
      created: 1770934479,
      model: 'gpt-3.5-turbo-instruct',
      choices: [{ text: 'Hello there!', index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 },
    }),
    sse: events(
      {
        id: 'cmpl-stream',
        object: 'text_completion',
        created: 1770934485,
        model: 'gpt-3.5-turbo-instruct',
        choices: [{ text: 'Hello', index: 0, logprobs: null, finish_reason: null }],
      },
      {
        id: 'cmpl-stream',
        object: 'text_completion',
        created: 1770934485,
        model: 'gpt-3.5-turbo-instruct',
        choices: [{ text: '', index: 0, logprobs: null, finish_reason: 'stop' }],
        usage: { prompt_tokens: 11, completion_tokens: 5, total_tokens: 16 },
      },
      '[DONE]',
    ),
  },
  responses: {
    json: JSON.stringify(response('resp_json', 'completed')),
    sse: events(
      {
        type: 'response.created',
        sequence_number: 0,
        response: response('resp_stream', 'in_progress'),
      },
      {
        type: 'response.output_text.delta',
        sequence_number: 1,
        item_id: 'msg_1',
        output_index: 0,
        content_index: 0,
        delta: 'Hello there!',
      },
      {
        type: 'response.completed',
        sequence_number: 2,
        response: response('resp_stream', 'completed'),
      },
    ),
  },
  embeddings: {
    json: JSON.stringify({
      object: 'list',
      data: [{ object: 'embedding', index: 0, embedding: [0.0057293195, -0.012727811] }],
      model: 'text-embedding-3-small',
      usage: { prompt_tokens: 11, total_tokens: 11 },
    }),
  },
  messages: {
    json: JSON.stringify({
      id: 'msg_json',
      type: 'message',
      role: 'assistant',
      model: 'claude-sonnet-4-5-20250929',
      content: [{ type: 'text', text: 'Hello there!' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: {
        input_tokens: 11,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 4,
        output_tokens: 5,
      },
    }),
    sse: events(
      {
        type: 'message_start',
        message: {
          id: 'msg_stream',
          type: 'message',
          role: 'assistant',
          model: 'claude-sonnet-4-5-20250929',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 11, cache_read_input_tokens: 4, output_tokens: 1 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      {
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text: 'Hello there!' },
      },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { output_tokens: 5 },
      },
      { type: 'message_stop' },
    ),
  },
  gemini: {
    json: JSON.stringify(
      geminiPart(
        'gemini-json',
        'Hello there!',
        { finishReason: 'STOP' },
        { candidatesTokenCount: 3, totalTokenCount: 16, thoughtsTokenCount: 2 },
      ),
    ),
    sse: events(
      geminiPart('gemini-stream', 'Hello', {}, { totalTokenCount: 13, thoughtsTokenCount: 2 }),
      geminiPart(
        'gemini-stream',
        ' there!',
        { finishReason: 'STOP' },
        { candidatesTokenCount: 3, totalTokenCount: 16, thoughtsTokenCount: 2 },
      ),
    ),
  },
  'gemini-embeddings': {
    json: JSON.stringify({
      embedding: { values: [0.5138951, -0.857853] },
      usageMetadata: {
        promptTokenCount: 11,
        promptTokenDetails: [{ modality: 'TEXT', tokenCount: 11 }],
      },
    }),
  },
  rerank: {
    json: JSON.stringify({
      id: 'b44fe75b-e3d3-489a-b61e-1a1aede3ef72',
      results: [
        { index: 1, relevance_score: 0.10183054 },
        { index: 0, relevance_score: 0.03762639 },
      ],
      meta: { api_version: { version: '2' }, billed_units: { search_units: 1 } },
    }),
  },
  moderations: {
    json: JSON.stringify({
      id: 'modr-json',
      model: 'omni-moderation-latest',
      results: [
        {
          flagged: false,
          categories: { harassment: false, violence: false },
          category_scores: { harassment: 0.0000064, violence: 0.0000072 },
          category_applied_input_types: { harassment: ['text'], violence: ['text'] },
        },
      ],
    }),
  },
} as const;

const question = [{ role: 'user', content: 'Hi!' }];

/** A small request for each protocol. */
export const requests = {
  chat: { path: '/v1/chat/completions', body: { model: 'gpt-4o', messages: question } },
  completions: {
    path: '/v1/completions',
    body: { model: 'gpt-3.5-turbo-instruct', prompt: 'Hi!' },
  },
  responses: { path: '/v1/responses', body: { model: 'gpt-4o', input: 'Hi!' } },
  embeddings: { path: '/v1/embeddings', body: { model: 'text-embedding-3-small', input: 'Hi!' } },
  messages: {
    path: '/v1/messages',
    body: { model: 'claude-sonnet-4-5', max_tokens: 100, messages: question },
  },
  gemini: {
    path: '/v1beta/models/gemini-2.5-flash:generateContent',
    body: { contents: [{ role: 'user', parts: [{ text: 'Hi!' }] }] },
  },
  'gemini-embeddings': {
    path: '/v1beta/models/gemini-embedding-001:embedContent',
    body: { content: { parts: [{ text: 'Hi!' }] } },
  },
  rerank: {
    path: '/v2/rerank',
    body: { model: 'rerank-v3.5', query: 'Hi!', documents: ['Hello', 'Bye'] },
  },
  moderations: {
    path: '/v1/moderations',
    body: { model: 'omni-moderation-latest', input: 'Hi!' },
  },
} as const;
