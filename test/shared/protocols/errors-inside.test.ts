import { expect } from 'chai';
import { refusalOf } from '../../../policies/llm-cache/response-rules.ts';
import type { ProtocolName } from '../../../policies/shared/protocols/protocol.ts';
import type { RefusalReason } from '../../../policies/shared/reasons.ts';
import { makeBody, now } from '../../support/llm-request.ts';
import { asJson, validate, protocolOf } from '../../fixtures/validate.ts';
import {
  chatChunk,
  chatPayloads,
  completionsPayloads,
  framed,
  messagesPayloads,
  responsesPayloads,
  streaming,
} from '../../fixtures/streams.ts';

type Body = object | string;
type Verdict = RefusalReason | null;

const encode = (text: string) => new TextEncoder().encode(text);

/** Why that answer to that request is not stored; null when it is. */
function verdict(name: ProtocolName, body: Body | Uint8Array, request: object = {}): Verdict {
  const isStream = typeof body === 'string';
  const bytes = isStream || body instanceof Uint8Array ? body : encode(JSON.stringify(body));
  const answer = validate(name, bytes, isStream ? {} : asJson);
  const asked = now(
    makeBody(encode(JSON.stringify({ stream: isStream, ...request }))).facts({
      protocol: protocolOf(name),
      path: '',
      query: '',
    }),
  );
  return refusalOf(answer, protocolOf(name), asked);
}

/** A stream with a payload more, before its ending. */
function streamWith(name: keyof typeof payloadsOf, ...more: readonly object[]): string {
  const payloads: readonly Body[] = payloadsOf[name];
  return framed([...payloads.slice(0, -1), ...more, ...payloads.slice(-1)]);
}

const payloadsOf = {
  chat: chatPayloads,
  completions: completionsPayloads,
  messages: messagesPayloads,
  responses: responsesPayloads,
} as const;

const choice = (more: object = {}) => ({
  index: 0,
  message: { role: 'assistant', content: 'Hello', refusal: null },
  finish_reason: 'stop',
  ...more,
});
const chatAnswer = (...choices: readonly unknown[]) => ({ id: 'c', model: 'm', choices });
const overloaded = { code: 502, message: 'overloaded' };
const outOfOrder = { error: { code: 'content_filter_error', message: 'not filtered' } };

describe('An answer with a fault inside', () => {
  const cases: Record<
    string,
    readonly (readonly [ProtocolName, Body, Verdict, request?: object])[]
  > = {
    'without a fault': [
      ['chat', chatAnswer(choice()), null],
      ['chat', chatAnswer(choice({ error: null, content_filter_results: {} })), null],
      ['completions', { choices: [{ text: '', index: 0, finish_reason: 'stop' }] }, null],
      ['embeddings', { data: [{ index: 0, embedding: [0.1] }] }, null],
      ['messages', { type: 'message', content: [], stop_reason: 'end_turn' }, null],
      ['responses', responseWith({}), null],
      ...streaming.map((name) => [name, framed(payloadsOf[name]), null] as const),
    ],
    'with an error in a choice': [
      ['chat', chatAnswer(choice({ error: overloaded })), 'error-in-body'],
      ['chat', chatAnswer(choice(), choice({ index: 1, error: 'no' })), 'error-in-body'],
      [
        'chat',
        chatAnswer(choice({ message: { content: 'x', error: overloaded } })),
        'error-in-body',
      ],
      [
        'completions',
        { choices: [{ text: 'x', finish_reason: 'stop', error: {} }] },
        'error-in-body',
      ],
      [
        'chat',
        streamWith('chat', chatAnswer({ index: 0, delta: {}, error: overloaded })),
        'error-in-body',
      ],
      [
        'chat',
        streamWith('chat', chatAnswer({ index: 0, delta: { error: 'x' } })),
        'error-in-body',
      ],
    ],
    'with an error in what a server adds': [
      [
        'chat',
        { ...chatAnswer(choice()), x_groq: { id: 'r', error: 'over capacity' } },
        'error-in-body',
      ],
      [
        'chat',
        streamWith('chat', { choices: [], x_groq: { error: 'over capacity' } }),
        'error-in-body',
      ],
      ['chat', { ...chatAnswer(choice()), base_resp: { status_code: 1002 } }, 'error-in-body'],
      ['chat', { ...chatAnswer(choice()), base_resp: { status_code: 0 } }, null],
      ['chat', { ...chatAnswer(choice()), code: 0, message: 'Success' }, null],
      [
        'chat',
        { ...chatAnswer(choice()), moderation: { output: { type: 'error' } } },
        'error-in-body',
      ],
      [
        'chat',
        { ...chatAnswer(choice()), moderation: { output: { type: 'moderation_results' } } },
        null,
      ],
    ],
    'with a filter that failed or took something': [
      ['chat', chatAnswer(choice({ content_filter_results: outOfOrder })), 'error-in-body'],
      ['chat', chatAnswer(choice({ content_filter_result: outOfOrder })), 'error-in-body'],
      [
        'chat',
        {
          ...chatAnswer(choice()),
          prompt_filter_results: [{ content_filter_results: outOfOrder }],
        },
        'error-in-body',
      ],
      [
        'chat',
        chatAnswer(choice({ content_filter_results: { hate: { filtered: true } } })),
        'refusal',
      ],
      ['chat', chatAnswer(choice({ content_filter_results: { hate: { filtered: false } } })), null],
      [
        'chat',
        chatAnswer(
          choice({
            finish_reason: 'content_filter',
            content_filter_results: { hate: { filtered: true } },
          }),
        ),
        'finish-reason',
      ],
      [
        'chat',
        streamWith('chat', chatAnswer({ index: 0, delta: {}, content_filter_results: outOfOrder })),
        'error-in-body',
      ],
    ],
    "with a filter of Azure's in it": [
      ['responses', responseWith({ content_filters: [{ blocked: false }] }), null],
      ['responses', responseWith({ content_filters: [{ blocked: true }] }), 'refusal'],
      [
        'responses',
        responseWith({
          content_filters: [{ content_filter_results: { hate: { filtered: true } } }],
        }),
        'refusal',
      ],
      [
        'responses',
        responseWith({ content_filters: [{ content_filter_results: outOfOrder }] }),
        'error-in-body',
      ],
    ],
    'that is a completed response and says nothing': [
      ...[undefined, null, [], {}, 'text', [{ type: 'reasoning', summary: [] }]].flatMap(
        (output) => [
          ['responses', responseWith({ output }), 'incomplete'] as const,
          [
            'responses',
            framed([{ type: 'response.completed', response: responseWith({ output }) }]),
            'incomplete',
          ] as const,
        ],
      ),
      [
        'responses',
        framed([
          { type: 'response.output_text.delta', delta: 'Hello' },
          { type: 'response.completed', response: responseWith({ output: [] }) },
        ]),
        null,
      ],
      [
        'responses',
        framed([
          { type: 'response.reasoning_text.delta', delta: 'Hm' },
          { type: 'response.completed', response: responseWith({ output: [] }) },
        ]),
        'incomplete',
      ],
    ],
    'that is an error': [
      ...[
        { error: 'no' },
        { object: 'error', message: 'no' },
        { type: 'error' },
        { detail: 'Internal Server Error' },
        { detail: [{ msg: 'no' }] },
        { message: 'Too many requests' },
        { msg: 'no', code: 500 },
        { error_code: 336, error_msg: 'no' },
        { success: false, errors: [] },
      ].flatMap((body) => [
        ['chat', body, 'error-in-body'] as const,
        ['embeddings', body, 'error-in-body'] as const,
        ['chat', streamWith('chat', body), 'error-in-body'] as const,
        ['responses', streamWith('responses', body), 'error-in-body'] as const,
        ['messages', streamWith('messages', body), 'error-in-body'] as const,
      ]),
      ['chat', [{ error: { code: 503, status: 'UNAVAILABLE' } }], 'error-in-body'],
      ['chat', [chatAnswer(choice())], 'incomplete'],
      ['chat', streamWith('chat', [{ error: overloaded }]), 'malformed'],
    ],
    'without content': [
      ['chat', chatAnswer(choice({ message: {} })), 'incomplete'],
      ['chat', chatAnswer(choice({ message: { role: 'assistant', content: null } })), 'incomplete'],
      [
        'chat',
        chatAnswer(choice({ message: { content: null, annotations: [], tool_calls: [] } })),
        'incomplete',
      ],
      ['chat', chatAnswer(choice({ message: null })), 'incomplete'],
      ['chat', chatAnswer(choice({ message: { content: '' } })), null],
      ['chat', chatAnswer(choice({ message: { content: null, tool_calls: [{ id: 't' }] } })), null],
      ['chat', chatAnswer(choice({ message: { content: null, audio: { id: 'a' } } })), null],
      ['chat', chatAnswer(), 'incomplete'],
      ['chat', { choices: null }, 'incomplete'],
      ['chat', chatAnswer(null), 'incomplete'],
      [
        'chat',
        framed([chatChunk({ role: 'assistant' }), chatChunk({}, 'stop'), '[DONE]']),
        'incomplete',
      ],
      ['chat', framed([chatChunk({ content: '' }), chatChunk({}, 'stop'), '[DONE]']), null],
      ['messages', { type: 'message', content: [null], stop_reason: 'end_turn' }, 'incomplete'],
    ],
    'with missing or double choices': [
      ['chat', chatAnswer(choice(), choice()), 'incomplete'],
      ['chat', chatAnswer(choice({ index: 1 })), 'incomplete'],
      ['chat', chatAnswer(choice(), choice({ index: 2 })), 'incomplete'],
      ['chat', chatAnswer(choice({ index: undefined }), choice({ index: undefined })), null],
      ['chat', chatAnswer(choice({ index: 1 }), choice({ index: 0 })), null],
      ['chat', chatAnswer(choice()), 'incomplete', { n: 2 }],
      ['chat', chatAnswer(choice(), choice({ index: 1 })), null, { n: 2 }],
      ['chat', framed(chatPayloads), 'incomplete', { n: 2 }],
      ['chat', framed(chatPayloads), null, { n: 1 }],
      ['chat', framed(chatPayloads), null, { n: null }],
      ['completions', framed(completionsPayloads), 'incomplete', { prompt: ['a', 'b'] }],
      ['completions', framed(completionsPayloads), null, { prompt: [1, 2, 3] }],
      ['completions', framed(completionsPayloads), 'incomplete', { prompt: [[1], [2]] }],
      ['completions', framed(completionsPayloads), 'incomplete', { prompt: 'a', n: 2 }],
    ],
    'with missing, broken or double vectors': [
      ['embeddings', { data: [{ index: 0, embedding: [1] }] }, 'incomplete', { input: ['a', 'b'] }],
      ['embeddings', { data: [{ index: 0, embedding: [1] }] }, null, { input: [7, 8, 9] }],
      ['embeddings', { data: [{ index: 0, embedding: [1] }] }, null, { input: 'a' }],
      [
        'embeddings',
        { data: [0, 1].map((index) => ({ index, embedding: 'AAAA' })) },
        null,
        { input: ['a', 'b'] },
      ],
      ['embeddings', { data: [0, 0].map((index) => ({ index, embedding: 'AAAA' })) }, 'incomplete'],
      ['embeddings', { data: [{ index: 1, embedding: 'AAAA' }] }, 'incomplete'],
      ['embeddings', { data: [{ embedding: 'AAAA' }, { embedding: 'AAAA' }] }, null],
      ['embeddings', { data: [{ index: 0, embedding: [null, 1] }] }, 'incomplete'],
      ['embeddings', { data: [{ index: 0, embedding: [1], error: 'no' }] }, 'error-in-body'],
      ['embeddings', { data: [{ embedding: [1] }, { object: 'error' }] }, 'error-in-body'],
    ],
    'with a failed output item': [
      ...[
        [{ type: 'mcp_call', error: 'refused' }, 'error-in-body'],
        [{ type: 'web_search_call', status: 'failed' }, 'error-in-body'],
        [{ type: 'message', status: 'incomplete', content: [] }, 'incomplete'],
        [{ type: 'message', status: 'in_progress', content: [] }, 'incomplete'],
        [{ type: 'message', status: 'completed', content: [] }, null],
        [{ type: 'mcp_call', error: null }, null],
        [null, 'incomplete'],
      ].flatMap(([item, reason]) => [
        ['responses', responseWith({ output: [item] }), reason as Verdict] as const,
        [
          'responses',
          framed([{ type: 'response.completed', response: responseWith({ output: [item] }) }]),
          reason as Verdict,
        ] as const,
      ]),
      [
        'responses',
        framed([
          { type: 'response.output_item.done', item: { type: 'mcp_call', error: 'refused' } },
          { type: 'response.completed', response: responseWith({ output: [] }) },
        ]),
        'error-in-body',
      ],
      ['responses', streamWith('responses', { type: 'response.mcp_call.failed' }), 'error-in-body'],
      ['responses', responseWith({ incomplete_details: { reason: 'x' } }), 'incomplete'],
    ],
    'with a failed tool of the provider': [
      [
        {
          type: 'web_search_tool_result',
          content: { type: 'web_search_tool_result_error', error_code: 'unavailable' },
        },
        'error-in-body',
      ],
      [{ type: 'mcp_tool_result', is_error: true, content: [] }, 'error-in-body'],
      [{ type: 'error' }, 'error-in-body'],
      [{ type: 'mcp_tool_result', is_error: false, content: [] }, null],
      [{ type: 'web_search_tool_result', content: [{ type: 'web_search_result' }] }, null],
    ].flatMap(([block, reason]) => [
      [
        'messages',
        { type: 'message', content: [block], stop_reason: 'end_turn' },
        reason as Verdict,
      ] as const,
      [
        'messages',
        streamWith(
          'messages',
          { type: 'content_block_start', index: 7, content_block: block },
          { type: 'content_block_stop', index: 7 },
        ),
        reason as Verdict,
      ] as const,
    ]),
    'joined from two answers': [
      [
        'chat',
        framed([
          chatChunk({ content: 'a' }),
          chatChunk({ content: 'b' }),
          chatChunk({ content: 'c' }, 'stop', { id: 'c2' }),
          '[DONE]',
        ]),
        'incomplete',
      ],
      [
        'chat',
        framed([
          ...['c1', 'c2', 'c3'].map((id) => chatChunk({ content: 'a' }, 'stop', { id })),
          '[DONE]',
        ]),
        null,
      ],
      [
        'chat',
        framed([
          chatChunk({ content: 'a' }),
          chatChunk({ content: 'b' }, 'stop'),
          { id: 'of the gateway', choices: [], usage: {} },
          '[DONE]',
        ]),
        null,
      ],
      ['messages', framed([messagesPayloads[0], ...messagesPayloads]), 'incomplete'],
      ['messages', streamWith('messages', { type: 'content_block_delta', index: 3 }), 'incomplete'],
      ['responses', framed([responsesPayloads[0], ...responsesPayloads]), 'incomplete'],
    ],
    'with tool arguments that are not JSON': [
      [
        'chat',
        chatAnswer(
          choice({
            message: { content: null, tool_calls: [{ function: { arguments: '{"a":' } }] },
            finish_reason: 'tool_calls',
          }),
        ),
        null,
      ],
    ],
    'with an error under another name': [
      ['chat', { ...chatAnswer(choice()), errors: [overloaded] }, 'error-in-body'],
      ['chat', { ...chatAnswer(choice()), provider_error: overloaded }, 'error-in-body'],
      ['chat', { ...chatAnswer(choice()), errorMessage: 'overloaded' }, 'error-in-body'],
      ['chat', { ...chatAnswer(choice()), status: 'failed' }, 'error-in-body'],
      ['chat', { ...chatAnswer(choice()), errors: [], error: null, error_code: 0 }, null],
      ['chat', { ...chatAnswer(choice()), status: 'succeeded', status_code: 200 }, null],
      [
        'chat',
        chatAnswer(choice({ message: { content: null, tool_calls: [{ error: 'no' }] } })),
        'error-in-body',
      ],
      ['chat', streamWith('chat', { status: 500 }), 'error-in-body'],
      ['chat', streamWith('chat', { errors: [overloaded] }), 'error-in-body'],
      ['messages', streamWith('messages', { type: 'overloaded_error' }), 'error-in-body'],
      [
        'responses',
        responseWith({ output: [{ type: 'message', content: [{ type: 'error' }] }] }),
        'error-in-body',
      ],
      ['responses', responseWith({ output: [{ status: 'cancelled' }] }), 'incomplete'],
    ],
    "with the provider's own finish reason": [
      ['chat', chatAnswer(choice({ native_finish_reason: 'SAFETY' })), 'finish-reason'],
      ['chat', chatAnswer(choice({ native_finish_reason: 'error' })), 'finish-reason'],
      ['chat', chatAnswer(choice({ native_finish_reason: 'STOP' })), null],
      ['chat', chatAnswer(choice({ native_finish_reason: 'end_turn' })), null],
    ],
    'with vectors of several lengths': [
      ['embeddings', { data: [{ embedding: [1, 'NaN'] }] }, 'incomplete'],
      [
        'embeddings',
        { data: [{ embedding: [1, 2] }, { embedding: [1] }] },
        'incomplete',
        { input: ['a', 'b'] },
      ],
      ['embeddings', { data: [{ embedding: [[1], [2]] }, { embedding: [[1]] }] }, null],
    ],
    'with an error as finish reason': [
      ['chat', framed([chatChunk({ content: 'a' }, 'error'), '[DONE]']), 'finish-reason'],
      [
        'chat',
        framed([chatChunk({ content: 'a' }, 'error', { error: overloaded }), '[DONE]']),
        'error-in-body',
      ],
    ],
  };

  function responseWith(more: object): object {
    const output = [{ type: 'message', status: 'completed', content: [] }];
    return { object: 'response', status: 'completed', output, ...more };
  }

  for (const [title, answers] of Object.entries(cases)) {
    it(`An answer ${title} is stored or refused as it deserves`, () => {
      for (const [name, body, reason, request] of answers) {
        const told = `${name} ${JSON.stringify(body)} to ${JSON.stringify(request ?? {})}`;
        expect(verdict(name, body, request), told).to.equal(reason);
      }
    });
  }

  for (const name of streaming) {
    const stream = framed(payloadsOf[name]);
    const cut = stream.lastIndexOf('\n\n', stream.length - 3) + 2;
    const withLine = (line: string) => `${stream.slice(0, cut)}${line}\n\n${stream.slice(cut)}`;

    it(`A ${name} stream with a line that no event stream has is refused`, () => {
      for (const line of [
        'error: {"code":500}',
        'error: no',
        'Error: no',
        'error',
        'exception: no',
        'detail: no',
        'event: internalServerException\ndata: {}',
        'event: stream_error\ndata: {}',
      ]) {
        expect(verdict(name, withLine(line)), line).to.equal('error-in-body');
      }
      for (const line of [
        '{"error":{"message":"overloaded"}}',
        'upstream connect error or disconnect/reset before headers',
        'Error occurred while trying to proxy: localhost',
        '<html>',
      ]) {
        expect(verdict(name, withLine(line)), line).to.equal('malformed');
        expect(verdict(name, `${stream}${line}`), `${line} at the end`).to.equal('malformed');
      }
    });

    it(`A ${name} stream with comments and unknown fields is stored`, () => {
      for (const line of [': error', 'foo: bar', 'x-request-id: 7', 'retry: 10', 'id: 7', 'foo']) {
        expect(verdict(name, withLine(line)), line).to.equal(null);
      }
    });

    it(`A ${name} stream that is not UTF-8 is refused, wherever that is, and its usage is read`, () => {
      const bytes = encode(stream);
      const at = bytes.indexOf(0xc3);
      for (const place of [at, at + 1, bytes.length]) {
        const broken = [...bytes];
        broken.splice(place, 1, 0xff);
        const answer = validate(name, new Uint8Array(broken));
        expect(answer.fault, `at ${place}`).to.equal('malformed');
        expect(answer.body).to.equal(null);
        if (name !== 'completions') expect(answer.usage?.inputTokens).to.equal(7);
      }
    });
  }
});

describe('An answer that names something at the provider', () => {
  const at = 1_900_000_000;

  it('A JSON answer with a voice or a container tells when that expires', () => {
    const audio = { id: 'a', data: 'AAAA', expires_at: at };
    const spoken = chatAnswer(choice({ message: { content: null, audio } }));
    const container = { id: 'c', expires_at: new Date(at * 1000).toISOString() };
    const message = { type: 'message', content: [], stop_reason: 'end_turn', container };
    const read = (name: ProtocolName, body: object) =>
      validate(name, JSON.stringify(body), asJson).expiresAt;
    expect(read('chat', spoken)).to.equal(at * 1000);
    expect(read('messages', message)).to.equal(at * 1000);
    expect(read('chat', chatAnswer(choice()))).to.equal(null);
    for (const never of [null, 'soon', {}, Infinity]) {
      expect(read('messages', { ...message, container: { expires_at: never } })).to.equal(null);
    }
  });

  it('A stream with voices or a container tells when the first expires', () => {
    const part = (index: number, seconds: number) => ({
      choices: [{ index, delta: { audio: { expires_at: seconds } }, finish_reason: 'stop' }],
    });
    const spoken = framed([part(0, at + 5), part(1, at), '[DONE]']);
    expect(validate('chat', spoken).expiresAt).to.equal(at * 1000);
    const container = { id: 'c', expires_at: new Date(at * 1000).toISOString() };
    const end = { type: 'message_delta', delta: { stop_reason: 'end_turn', container } };
    expect(validate('messages', streamWith('messages', end)).expiresAt).to.equal(at * 1000);
  });
});
