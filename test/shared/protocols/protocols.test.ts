import { expect } from 'chai';
import * as fc from 'fast-check';
import type { JsonObject } from '../../../policies/shared/json/json.ts';
import {
  findProtocol,
  protocolNames,
  protocols,
} from '../../../policies/shared/protocols/index.ts';
import type { ProtocolName, Reading } from '../../../policies/shared/protocols/protocol.ts';
import { readUsage } from '../../../policies/shared/usage.ts';
import { detailNames } from '../../../policies/shared/usage-details.ts';
import { llmRequestSchema } from '../../../schemas/conditions.ts';
import { protocolOf } from '../../fixtures/validate.ts';
import {
  chatChunk,
  chatPayloads,
  completionsPayloads,
  messagesPayloads,
  responsesPayloads,
  streaming,
} from '../../fixtures/streams.ts';

/** What a protocol reads out of these payloads; a string stands for `[DONE]`. */
function readStream(
  name: ProtocolName,
  payloads: readonly (object | string)[],
  eventName = '',
): Reading {
  const reader = protocolOf(name).streamReader();
  for (const payload of payloads) {
    if (typeof payload === 'string') reader.done();
    else reader.event(eventName, payload as JsonObject);
  }
  return reader.reading();
}

describe('The protocol finder', () => {
  for (const [path, name] of [
    ['/v1/chat/completions', 'chat'],
    ['/openai/deployments/gpt-4o/chat/completions', 'chat'],
    ['/v1/completions', 'completions'],
    ['/beta/completions', 'completions'],
    ['/v1/responses', 'responses'],
    ['/v1/embeddings', 'embeddings'],
    ['/v1/messages', 'messages'],
    ['/v1/threads/thread_1/messages', null],
    ['/v1/messages/count_tokens', null],
    ['/v1/messages/batches', null],
    ['/v1/responses/resp_1', null],
    ['/v1/chat/completions/', null],
    ['/v1/Chat/Completions', null],
    ['/v1/mycompletions', null],
    ['/v1/models', null],
    ['/v1beta/models/gemini-2.5-flash:generateContent', 'gemini'],
    ['/v1beta/models/gemini-2.5-flash:streamGenerateContent', 'gemini'],
    ['/v1/projects/p/locations/l/publishers/google/models/m:generateContent', 'gemini'],
    ['/v1beta/models/gemini-2.5-flash:countTokens', null],
    ['/v1beta/models/gemini-2.5-flash:batchGenerateContent', null],
    ['/v1beta/models/gemini-2.5-flash/generateContent', null],
    ['/v1beta/models/gemini-embedding-001:embedContent', 'gemini-embeddings'],
    ['/v1beta/models/gemini-embedding-001:batchEmbedContents', 'gemini-embeddings'],
    ['/v1beta/models/gemini-embedding-001:asyncBatchEmbedContent', null],
    ['/rerank', 'rerank'],
    ['/v1/rerank', 'rerank'],
    ['/v2/rerank', 'rerank'],
    ['/v1/moderations', 'moderations'],
    ['/v1/chat/moderations', 'moderations'],
    ['/', null],
    ['', null],
  ] as const) {
    it(`The protocol finder finds ${name ?? 'nothing'} in ${path || 'an empty path'}`, () => {
      expect(findProtocol(path)?.name ?? null).to.equal(name);
    });
  }

  it('The protocol finder finds at most one protocol for a path', () => {
    for (const path of ['/v1/chat/completions', '/v1/completions', '/messages', '/responses']) {
      expect(protocols.filter((one) => one.matches(path))).to.have.length(1);
    }
  });

  it('The protocol finder knows the protocols by name', () => {
    const others = ['embeddings', 'gemini', 'gemini-embeddings', 'rerank', 'moderations'];
    expect(protocolNames).to.have.members([...streaming, ...others]);
    expect(llmRequestSchema.properties.protocols.default).to.deep.equal(protocolNames);
  });
});

describe('A request by its protocol', () => {
  it('A request streams where stream is true and its API has that member', () => {
    const names: readonly ProtocolName[] = streaming;
    for (const protocol of protocols) {
      expect(protocol.isStream({ stream: true })).to.equal(names.includes(protocol.name));
      for (const stream of [undefined, null, false, 1, 'true']) {
        expect(protocol.isStream({ stream })).to.equal(false);
      }
    }
  });

  it('A request is stateful where a replay would lose an effect at the provider', () => {
    const stateful: [ProtocolName, JsonObject][] = [
      ['responses', { background: true }],
      ['responses', { conversation: 'conv_1' }],
      ['responses', { conversation: { id: 'conv_1' } }],
      ['messages', { container: 'container_1' }],
      ['messages', { container: { skills: [] } }],
    ];
    for (const [name, body] of stateful) {
      expect(protocolOf(name).isStateful(body), JSON.stringify(body)).to.equal(true);
    }
  });

  it("A request is not stateful by another protocol's members, or by members that are off", () => {
    for (const { name, isStateful } of protocols) {
      expect(isStateful({ store: true, previous_response_id: 'resp_1' })).to.equal(false);
      expect(isStateful({ background: false, conversation: null, container: null })).to.equal(
        false,
      );
      if (name !== 'responses') expect(isStateful({ background: true })).to.equal(false);
      if (name !== 'messages') expect(isStateful({ container: 'c' })).to.equal(false);
    }
  });

  it('A request sets a limit by the numbers that its protocol has for that', () => {
    const limits: Partial<Record<ProtocolName, string[]>> = {
      chat: ['max_tokens', 'max_completion_tokens'],
      completions: ['max_tokens'],
      messages: ['max_tokens'],
      responses: ['max_output_tokens'],
    };
    for (const { name, setsLimit } of protocols) {
      for (const member of ['max_tokens', 'max_completion_tokens', 'max_output_tokens']) {
        expect(setsLimit({ [member]: 5 })).to.equal(limits[name]?.includes(member) ?? false);
        expect(setsLimit({ [member]: null })).to.equal(false);
        expect(setsLimit({ [member]: '5' })).to.equal(false);
      }
    }
  });
});

describe('A JSON answer', () => {
  const message = { message: { content: 'Hello' }, finish_reason: 'stop' };
  const candidate = (more: object = {}) => ({
    content: { parts: [{ text: 'Hello' }], role: 'model' },
    finishReason: 'STOP',
    ...more,
  });
  const answers: Record<ProtocolName, { whole: JsonObject[]; incomplete: JsonObject[] }> = {
    chat: {
      whole: [
        { choices: [message] },
        { choices: [message, message], error: null },
        { choices: [{ message: { content: [{ type: 'text' }] }, finish_reason: 'stop' }] },
      ],
      incomplete: [
        {},
        { choices: [] },
        { choices: {} },
        { choices: [message, null] },
        { choices: [message, {}] },
        { choices: [{ message: 'Hello' }] },
        { choices: [{ text: 'Hello' }] },
      ],
    },
    completions: {
      whole: [{ choices: [{ text: '' }] }],
      incomplete: [{ choices: [] }, { choices: [{ text: null }] }, { choices: [message] }],
    },
    responses: {
      whole: [
        { object: 'response', status: 'completed', error: null, output: [{ type: 'message' }] },
        { object: 'response', status: 'completed', output: [{ type: 'function_call' }] },
      ],
      incomplete: [
        { object: 'response', status: 'completed' },
        { object: 'response', status: 'completed', output: [] },
        { object: 'response', status: 'incomplete' },
        { object: 'response', status: 'in_progress' },
        { object: 'response', status: 'queued' },
        { object: 'list', status: 'completed' },
        { status: 'completed' },
      ],
    },
    embeddings: {
      whole: [{ data: [{ embedding: [0.1] }] }, { data: [{ embedding: 'AAAA' }] }],
      incomplete: [
        {},
        { data: [] },
        { data: [{ embedding: [0.1] }, {}] },
        { data: [{ embedding: [] }] },
        { data: [{ embedding: '' }] },
        { data: ['AAAA'] },
      ],
    },
    messages: {
      whole: [{ type: 'message', content: [] }],
      incomplete: [{ type: 'message' }, { content: [] }, { type: 'completion', content: [] }],
    },
    gemini: {
      whole: [
        { candidates: [candidate()] },
        { candidates: [candidate({ index: 1 }), candidate({ index: 0 })] },
        { candidates: [candidate({ content: { parts: [{ functionCall: { name: 'f' } }] } })] },
        { candidates: [{ finishReason: 'SAFETY' }] },
        { promptFeedback: { blockReason: 'SAFETY' } },
      ],
      incomplete: [
        {},
        { candidates: [] },
        { candidates: {} },
        { candidates: [null] },
        { candidates: [candidate({ index: 1 })] },
        { candidates: [candidate(), candidate()].map((one) => ({ ...one, index: 0 })) },
        { candidates: [candidate({ finishReason: undefined })] },
        { candidates: [candidate({ content: { role: 'model' } })] },
        { candidates: [candidate({ content: { parts: [{ text: '' }] } })] },
        { candidates: [candidate({ content: { parts: [{ text: 'hm', thought: true }] } })] },
        { promptFeedback: {} },
      ],
    },
    'gemini-embeddings': {
      whole: [{ embedding: { values: [0.1] } }, { embeddings: [{ values: [0.1] }] }],
      incomplete: [
        {},
        { embedding: {} },
        { embedding: { values: [] } },
        { embedding: { values: [null] } },
        { embeddings: [] },
        { embeddings: [{ values: [0.1] }, {}] },
        { embeddings: [{ values: [0.1] }, { values: [0.1, 0.2] }] },
        { embedding: { values: ['NaN'] } },
      ],
    },
    rerank: {
      whole: [
        { results: [{ index: 1, relevance_score: 0.5 }] },
        { data: [{ index: 0, relevance_score: 1 }] },
        { results: [{ index: 0, score: 0 }] },
      ],
      incomplete: [
        {},
        { results: [] },
        { results: [{ index: 0 }] },
        { results: [{ relevance_score: 1 }] },
        { results: [{ index: -1, relevance_score: 1 }] },
        { results: [0, 0].map((index) => ({ index, relevance_score: 1 })) },
      ],
    },
    moderations: {
      whole: [{ results: [{ flagged: false, categories: {} }] }],
      incomplete: [{}, { results: [] }, { results: [{ flagged: false }] }, { results: [null] }],
    },
  };

  for (const { name, readAnswer } of protocols) {
    it(`A JSON answer of ${name} is whole or incomplete by its content`, () => {
      for (const json of answers[name].whole) {
        expect(readAnswer(json).fault, JSON.stringify(json)).to.equal(null);
      }
      for (const json of answers[name].incomplete) {
        expect(readAnswer(json).fault, JSON.stringify(json)).to.equal('incomplete');
      }
    });

    it(`A JSON answer of ${name} may carry an error, whatever else it has`, () => {
      for (const error of [{ message: 'no' }, 'no', '', 0, false]) {
        expect(readAnswer({ ...answers[name].whole[0], error }).fault).to.equal('error-in-body');
      }
      expect(readAnswer({ object: 'error', message: 'no' }).fault).to.equal('error-in-body');
      expect(readAnswer({ type: 'error' }).fault).to.equal('error-in-body');
    });

    // Gemini has other names for them, and its embeddings none.
    if (name.startsWith('gemini')) continue;

    it(`A JSON answer of ${name} tells its id and model where they are names, cut to 256 characters`, () => {
      expect(readAnswer({ id: 'i', model: 'm' })).to.include({ id: 'i', model: 'm' });
      expect(readAnswer({ id: 7, model: '' })).to.include({ id: null, model: null });
      expect(readAnswer({ model: 'm'.repeat(1000) }).model).to.have.length(256);
    });
  }

  it('A JSON answer tells the finish reason of each choice', () => {
    const choices = [message, { ...message, finish_reason: null }, { message: {} }];
    expect(protocolOf('chat').readAnswer({ choices }).finishReasons).to.deep.equal([
      'stop',
      null,
      null,
    ]);
    const { readAnswer } = protocolOf('messages');
    expect(readAnswer({ stop_reason: 'pause_turn' }).finishReasons).to.deep.equal(['pause_turn']);
    expect(readAnswer({ stop_reason: null }).finishReasons).to.deep.equal([null]);
  });

  it('A JSON answer tells a refusal where its protocol has a field for it', () => {
    const refusing = (refusal: unknown) =>
      protocolOf('chat').readAnswer({ choices: [message, { message: { refusal } }] }).refused;
    expect([refusing('I cannot'), refusing(null), refusing('')]).to.deep.equal([
      true,
      false,
      false,
    ]);
    const output = (type: string) => [
      { type: 'reasoning' },
      { type: 'message', content: [{ type: 'output_text' }, { type }] },
    ];
    const { readAnswer } = protocolOf('responses');
    expect(readAnswer({ output: output('refusal') }).refused).to.equal(true);
    expect(readAnswer({ output: output('output_text') }).refused).to.equal(false);
  });
});

describe('A stream', () => {
  const payloadsOf = {
    chat: chatPayloads,
    completions: completionsPayloads,
    messages: messagesPayloads,
    responses: responsesPayloads,
  } as const;

  for (const name of streaming) {
    const payloads = payloadsOf[name];

    it(`A ${name} stream is whole at its ending`, () => {
      expect(readStream(name, payloads).fault).to.equal(null);
      expect(readStream(name, payloads.slice(0, -1)).fault).to.equal('incomplete');
      expect(readStream(name, []).fault).to.equal('incomplete');
    });

    it(`A ${name} stream carries an error in a payload, or by the name of an event`, () => {
      const event = { detail: 'overloaded' };
      for (const error of [{ error: { message: 'no' } }, { type: 'error' }, { object: 'error' }]) {
        expect(readStream(name, [error, ...payloads]).fault).to.equal('error-in-body');
      }
      expect(readStream(name, [event], 'error').fault).to.equal('error-in-body');
    });

    it(`A ${name} stream takes nothing after its ending`, () => {
      const reader = protocolOf(name).streamReader();
      for (const payload of payloads) {
        const fits =
          typeof payload === 'string' ? reader.done() : reader.event('', payload as JsonObject);
        expect(fits).to.equal(true);
      }
      expect(reader.ended).to.equal(true);
      const before = reader.reading();
      expect(reader.event('ping', { type: 'ping' })).to.equal(false);
      if (name === 'responses') expect(reader.done()).to.equal(true);
      expect(reader.done()).to.equal(false);
      expect(reader.reading()).to.deep.equal(before);
    });
  }

  describe('chat', () => {
    const read = (...payloads: (object | string)[]) => readStream('chat', [...payloads, '[DONE]']);
    const part = (index: unknown, finish: unknown, delta: object = { content: 'a' }) => ({
      choices: [{ index, delta, finish_reason: finish }],
    });

    it('A chat stream has one finish reason per choice, the last one sent', () => {
      const reading = read(
        part(0, null),
        part(1, ''),
        part(0, 'stop'),
        part(0, null),
        part(1, null),
      );
      expect(reading).to.deep.include({ fault: null, finishReasons: ['stop', null] });
      expect(read(part(0, 'stop'), part(0, 'content_filter')).finishReasons).to.deep.equal([
        'content_filter',
      ]);
    });

    it('A chat stream has come to a bad end where it once said so', () => {
      const again = read(part(0, 'content_filter'), part(0, 'stop'), part(0, null));
      expect(again.finishReasons).to.deep.equal(['content_filter']);
    });

    it('A chat stream has its choices in one chunk or in several', () => {
      const both = { choices: [...part(0, 'stop').choices, ...part(1, 'length').choices] };
      expect(read(both).finishReasons).to.deep.equal(['stop', 'length']);
    });

    it('A chat stream takes a choice without an index for the first', () => {
      const reading = read(part(undefined, null), part(0, 'stop'));
      expect(reading).to.deep.include({ fault: null, finishReasons: ['stop'] });
    });

    it('A chat stream is incomplete with an unreadable choice index, or too many choices', () => {
      for (const index of ['1', -1, 0.5, {}]) {
        expect(read(part(0, 'stop'), part(index, null)).fault).to.equal('incomplete');
      }
      expect(read(part(0, 'stop'), { choices: [null] }).fault).to.equal('incomplete');
      const many = Array.from({ length: 1025 }, (_, index) => part(index, 'stop'));
      expect(read(...many.slice(0, 1024)).fault).to.equal(null);
      const reading = read(...many);
      expect(reading.fault).to.equal('incomplete');
      expect(reading.finishReasons).to.have.length(1024);
    });

    it('A chat stream is incomplete without a single choice', () => {
      expect(read({ id: 'c1', choices: [], usage: { total_tokens: 1 } }).fault).to.equal(
        'incomplete',
      );
      expect(read({ choices: null }, { choices: {} }).fault).to.equal('incomplete');
    });

    it('A chat stream tells the first id and model that are names', () => {
      const nameless = { id: '', model: '', choices: [], prompt_filter_results: [] };
      expect(read(nameless, chatChunk({}, 'stop'))).to.include({ id: 'c1', model: 'gpt-4o' });
    });

    it('A chat stream tells the last usage that is one', () => {
      const usage = (count: number) => ({ usage: { prompt_tokens: count, completion_tokens: 1 } });
      const last = read(usage(1), usage(2), { usage: null }, { usage: {} });
      expect(last.usage).to.deep.include({ inputTokens: 2, totalTokens: 3 });
    });

    it('A chat stream finds the usage where Groq puts it', () => {
      const reading = read({ x_groq: { id: 'req_1' } }, { x_groq: { usage: { total_tokens: 9 } } });
      expect(reading.usage?.totalTokens).to.equal(9);
    });

    it('A chat stream keeps a count that a later chunk repeats as 0, but no total of earlier counts', () => {
      const usage = (counts: object) => ({ usage: counts });
      expect(
        read(
          usage({ prompt_tokens: 9, completion_tokens: 2, total_tokens: 11, cached_tokens: 4 }),
          usage({ prompt_tokens: 0, completion_tokens: 7, cached_tokens: 0 }),
        ).usage,
      ).to.deep.equal({
        inputTokens: 9,
        outputTokens: 7,
        totalTokens: 16,
        details: { cached_tokens: 4 },
      });
      const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
      const all = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 };
      expect(read(usage(zero), usage(all), usage(zero)).usage).to.include({ totalTokens: 11 });
    });

    it('A chat stream finds the usage where Moonshot puts it, and adds the output of each choice', () => {
      const last = (index: number, output: number) => ({
        choices: [
          {
            index,
            delta: {},
            finish_reason: 'stop',
            usage: { prompt_tokens: 19, completion_tokens: output, total_tokens: 19 + output },
          },
        ],
      });
      const counts = (input: number, output: number) => ({
        inputTokens: input,
        outputTokens: output,
        totalTokens: input + output,
        details: {},
      });
      expect(read(last(0, 13)).usage).to.deep.equal(counts(19, 13));
      expect(read(last(0, 13), last(1, 20)).usage).to.deep.equal(counts(19, 33));
      const above = { usage: { prompt_tokens: 1, completion_tokens: 1 } };
      expect(read(last(0, 13), above).usage).to.deep.equal(counts(1, 1));
    });

    it('A chat stream tells the last service tier that was sent', () => {
      const counted = { usage: { total_tokens: 1 } };
      const told = (...tiers: unknown[]) =>
        read(counted, ...tiers.map((tier) => ({ service_tier: tier }))).usage?.terms;
      expect(told('auto', 'flex')).to.deep.equal(['service_tier flex']);
      expect(told('flex', 'default')).to.equal(undefined);
      expect(told('priority', null)).to.deep.equal(['service_tier priority']);
    });

    it('A chat stream takes a page that it cites for a search of the provider', () => {
      const cites = (annotations: unknown) =>
        read({ usage: { total_tokens: 1 } }, part(0, 'stop', { annotations })).usage?.details;
      expect(cites([{ type: 'url_citation', url_citation: {} }])).to.deep.equal({
        web_search_requests: 1,
      });
      for (const none of [[], null, [{ type: 'file_citation' }], [null]]) {
        expect(cites(none)).to.deep.equal({});
      }
    });

    it('A chat stream tells a refusal that any part of it has', () => {
      expect(read(part(0, null, { refusal: 'I' }), part(0, 'stop')).refused).to.equal(true);
      expect(read(part(0, null, { refusal: null }), part(0, 'stop')).refused).to.equal(false);
    });
  });

  describe('responses', () => {
    const [created, delta, completed] = responsesPayloads;

    it('A responses stream is not ended by [DONE], but may have one after its ending', () => {
      expect(readStream('responses', [created, delta, '[DONE]']).fault).to.equal('incomplete');
      expect(readStream('responses', [created, completed, '[DONE]']).fault).to.equal(null);
    });

    it('A responses stream is whole only where the response itself is completed', () => {
      for (const response of [
        { ...completed.response, status: 'in_progress' },
        { ...completed.response, object: 'other' },
        undefined,
      ]) {
        const ending = { type: 'response.completed', response };
        expect(readStream('responses', [created, ending]).fault).to.equal('incomplete');
      }
      const failed = { ...completed, response: { ...completed.response, error: { code: 'x' } } };
      expect(readStream('responses', [created, failed]).fault).to.equal('error-in-body');
    });

    it('A responses stream is incomplete where the response is, and failed where it failed', () => {
      const incomplete = { type: 'response.incomplete', response: { status: 'incomplete' } };
      expect(readStream('responses', [created, incomplete]).fault).to.equal('incomplete');
      const failed = { type: 'response.failed', response: { status: 'failed' } };
      expect(readStream('responses', [created, failed]).fault).to.equal('error-in-body');
    });

    it('A responses stream counts the tool calls that are charged for, and tells the tier', () => {
      const items = [
        { type: 'web_search_call', action: { type: 'search' } },
        { type: 'web_search_call', action: { type: 'open_page' } },
        { type: 'web_search_call', action: { type: 'find_in_page' } },
        { type: 'web_search_call' },
        { type: 'file_search_call' },
        { type: 'code_interpreter_call' },
        { type: 'image_generation_call' },
        { type: 'function_call' },
      ];
      const calls = {
        web_search_requests: 2,
        file_search_calls: 1,
        code_execution_calls: 1,
        image_generation_calls: 1,
      };
      const response = { ...completed.response, service_tier: 'priority' };
      const json = protocolOf('responses').readAnswer({ ...response, output: items });
      expect(json.usage?.details).to.deep.equal(calls);
      expect(json.usage?.terms).to.deep.equal(['service_tier priority']);
      // Some leave the items out of the last event.
      const done = items.map((item) => ({ type: 'response.output_item.done', item }));
      for (const [events, output] of [
        [[], items],
        [done, items],
        [done, []],
        [done, undefined],
      ] as const) {
        const last = { type: 'response.completed', response: { ...response, output } };
        const { usage } = readStream('responses', [created, ...events, last]);
        expect(usage?.details).to.deep.equal(calls);
      }
    });

    it('A responses stream tells a refusal by its events or by its output', () => {
      const event = { type: 'response.refusal.delta', delta: 'I' };
      expect(readStream('responses', [created, event, completed]).refused).to.equal(true);
      const output = [{ content: [{ type: 'refusal', refusal: 'I cannot' }] }];
      const refused = { ...completed, response: { ...completed.response, output } };
      expect(readStream('responses', [created, refused]).refused).to.equal(true);
      expect(readStream('responses', [created, completed]).refused).to.equal(false);
    });
  });

  describe('messages', () => {
    const [start, open, ping, delta, close, end, stop] = messagesPayloads;

    it('A messages stream starts with one message', () => {
      expect(readStream('messages', [open, delta, close, end, stop]).fault).to.equal('incomplete');
      expect(readStream('messages', [{ type: 'message_start' }, end, stop]).fault).to.equal(
        'incomplete',
      );
      expect(readStream('messages', [start, start, end, stop]).fault).to.equal('incomplete');
    });

    it('A messages stream stops every block that it starts', () => {
      const other = { ...open, index: 1 };
      expect(readStream('messages', [start, open, ping, end, stop]).fault).to.equal('incomplete');
      expect(readStream('messages', [start, open, other, close, end, stop]).fault).to.equal(
        'incomplete',
      );
      expect(readStream('messages', [start, open, open, close, end, stop]).fault).to.equal(
        'incomplete',
      );
      expect(readStream('messages', [start, close, open, end, stop]).fault).to.equal('incomplete');
      expect(
        readStream('messages', [start, open, other, close, { ...close, index: 1 }, end, stop])
          .fault,
      ).to.equal(null);
      expect(readStream('messages', [start, end, stop]).fault).to.equal(null);
    });

    it('A messages stream of too many blocks is refused', () => {
      const many = Array.from({ length: 1025 }, (_, index) => ({ ...open, index }));
      const closed = many.map(({ index }) => ({ ...close, index }));
      expect(readStream('messages', [start, ...many, ...closed, end, stop]).fault).to.equal(
        'incomplete',
      );
    });

    it('A messages stream has no finish reason without its message_delta', () => {
      expect(readStream('messages', [start, stop]).finishReasons).to.deep.equal([null]);
      expect(readStream('messages', [start, end, stop]).finishReasons).to.deep.equal(['end_turn']);
    });

    it('A messages stream keeps the counts of its start where its end repeats them as 0', () => {
      const message = {
        usage: {
          input_tokens: 15,
          cache_read_input_tokens: 9000,
          cache_creation_input_tokens: 400,
        },
      };
      const zeros = { input_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 };
      const { usage } = readStream('messages', [
        { type: 'message_start', message },
        { type: 'message_delta', delta: {}, usage: { ...zeros, output_tokens: 7 } },
      ]);
      expect(usage).to.deep.include({
        inputTokens: 15,
        outputTokens: 7,
        details: { cached_tokens: 9000, cache_write_tokens: 400 },
      });
    });

    it('A messages stream counts the runs of code that it shows', () => {
      const content = ['bash_code_execution', 'code_execution', 'web_search'].map((name) => ({
        type: 'server_tool_use',
        name,
      }));
      const usage = { input_tokens: 1, output_tokens: 1 };
      const json = protocolOf('messages').readAnswer({ type: 'message', content, usage });
      expect(json.usage?.details).to.deep.equal({ code_execution_calls: 2 });
      const blocks = content.map((block, index) => ({
        type: 'content_block_start',
        index,
        content_block: block,
      }));
      const read = readStream('messages', [start, ...blocks, end, stop]);
      expect(read.usage?.details).to.deep.equal({ code_execution_calls: 2 });
    });

    it('A messages stream joins the usage of its start and end, the later counts winning', () => {
      const started = {
        type: 'message_start',
        message: {
          usage: {
            input_tokens: 10,
            cache_read_input_tokens: 4,
            cache_creation_input_tokens: 6,
            cache_creation: { ephemeral_1h_input_tokens: 2 },
            output_tokens: 1,
          },
        },
      };
      const told = (usage: object) => ({ type: 'message_delta', delta: {}, usage });
      const { usage } = readStream('messages', [
        started,
        told({ input_tokens: 30, cache_read_input_tokens: null, output_tokens: 5 }),
        told({ output_tokens: 9, server_tool_use: { web_search_requests: 2 } }),
      ]);
      expect(usage).to.deep.equal({
        inputTokens: 30,
        outputTokens: 9,
        totalTokens: 39,
        details: {
          cached_tokens: 4,
          cache_write_tokens: 6,
          cache_write_1h_tokens: 2,
          web_search_requests: 2,
        },
      });
    });
  });

  it('A stream reader never throws, whatever its payloads', () => {
    const types = ['message_start', 'content_block_start', 'response.completed', 'error', 7, null];
    const payload = fc.oneof(
      fc.dictionary(
        fc.constantFrom('choices', 'usage', 'response', 'message', 'delta', 'index', 'error'),
        fc.jsonValue(),
      ),
      fc.constantFrom(...chatPayloads.slice(0, 3), ...messagesPayloads, ...responsesPayloads),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...protocolNames),
        fc.array(fc.tuple(payload, fc.constantFrom(...types))),
        fc.jsonValue(),
        (name, payloads, json) => {
          const all = payloads.map(([one, type]) => ({ type, ...(one as object) }));
          expect(readStream(name, all).fault).to.be.oneOf([null, 'incomplete', 'error-in-body']);
          protocolOf(name).readAnswer({ choices: json, data: json, output: json, usage: json });
        },
      ),
    );
  });
});

describe('The usage reader', () => {
  const cases: Record<string, [raw: object, counts: (number | null)[], details: object]> = {
    'OpenAI chat': [
      {
        prompt_tokens: 20,
        completion_tokens: 10,
        total_tokens: 30,
        prompt_tokens_details: { cached_tokens: 8, audio_tokens: 2, cache_write_tokens: 3 },
        completion_tokens_details: {
          reasoning_tokens: 4,
          audio_tokens: 1,
          accepted_prediction_tokens: 5,
          rejected_prediction_tokens: 6,
        },
      },
      [20, 10, 30],
      {
        cached_tokens: 8,
        cache_write_tokens: 3,
        reasoning_tokens: 4,
        input_audio_tokens: 2,
        output_audio_tokens: 1,
        accepted_prediction_tokens: 5,
        rejected_prediction_tokens: 6,
      },
    ],
    'OpenAI responses': [
      {
        input_tokens: 20,
        input_tokens_details: { cached_tokens: 8, cache_write_tokens: 3 },
        output_tokens: 10,
        output_tokens_details: { reasoning_tokens: 4 },
        total_tokens: 30,
      },
      [20, 10, 30],
      { cached_tokens: 8, cache_write_tokens: 3, reasoning_tokens: 4 },
    ],
    'OpenAI embeddings': [{ prompt_tokens: 12, total_tokens: 12 }, [12, null, 12], {}],
    Anthropic: [
      {
        input_tokens: 20,
        cache_creation_input_tokens: 30,
        cache_read_input_tokens: 40,
        cache_creation: { ephemeral_5m_input_tokens: 25, ephemeral_1h_input_tokens: 5 },
        output_tokens: 10,
        output_tokens_details: { thinking_tokens: 6 },
        server_tool_use: { web_search_requests: 1, web_fetch_requests: 2 },
        service_tier: 'standard',
      },
      [20, 10, 30],
      {
        cached_tokens: 40,
        cache_write_tokens: 30,
        cache_write_1h_tokens: 5,
        reasoning_tokens: 6,
        web_search_requests: 1,
        web_fetch_requests: 2,
      },
    ],
    DeepSeek: [
      {
        prompt_tokens: 20,
        completion_tokens: 10,
        total_tokens: 30,
        prompt_cache_hit_tokens: 15,
        prompt_cache_miss_tokens: 5,
      },
      [20, 10, 30],
      { cached_tokens: 15 },
    ],
    Moonshot: [
      { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30, cached_tokens: 15 },
      [20, 10, 30],
      { cached_tokens: 15 },
    ],
    'xAI, whose total has the reasoning on top': [
      {
        prompt_tokens: 12,
        completion_tokens: 1,
        total_tokens: 241,
        prompt_tokens_details: {
          text_tokens: 12,
          audio_tokens: 0,
          image_tokens: 0,
          cached_tokens: 2,
        },
        completion_tokens_details: { reasoning_tokens: 228 },
        num_sources_used: 3,
        num_server_side_tools_used: 2,
        server_side_tool_usage_details: { web_search_calls: 2 },
      },
      [12, 1, 241],
      {
        cached_tokens: 2,
        reasoning_tokens: 228,
        input_text_tokens: 12,
        input_audio_tokens: 0,
        input_image_tokens: 0,
        web_search_requests: 2,
        sources_used: 3,
        server_tool_calls: 2,
      },
    ],
    'Groq, with its times': [
      { queue_time: 0.04, prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 },
      [20, 10, 30],
      {},
    ],
    'Mistral, with audio': [
      { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30, prompt_audio_seconds: 7 },
      [20, 10, 30],
      { input_audio_seconds: 7 },
    ],
    Perplexity: [
      {
        prompt_tokens: 20,
        completion_tokens: 10,
        total_tokens: 30,
        search_context_size: 'low',
        citation_tokens: 50,
        num_search_queries: 2,
        reasoning_tokens: 70,
        cost: { total_cost: 0.005 },
      },
      [20, 10, 30],
      { citation_tokens: 50, web_search_requests: 2, reasoning_tokens: 70 },
    ],
    'Anthropic with a compaction, whose steps are not in its counts': [
      {
        input_tokens: 23_000,
        output_tokens: 1000,
        cache_read_input_tokens: 10,
        iterations: [
          {
            type: 'compaction',
            input_tokens: 180_000,
            output_tokens: 3500,
            cache_read_input_tokens: 5,
            cache_creation_input_tokens: 9,
            cache_creation: { ephemeral_1h_input_tokens: 2 },
          },
          { type: 'message', input_tokens: 23_000, output_tokens: 1000 },
          { type: 'advisor_message', model: 'other', input_tokens: 70, output_tokens: 7 },
          null,
          { type: 'compaction', input_tokens: -1 },
        ],
      },
      [203_000, 4500, 207_500],
      {
        cached_tokens: 15,
        cache_write_tokens: 9,
        cache_write_1h_tokens: 2,
        compaction_input_tokens: 180_000,
        compaction_cached_tokens: 5,
        compaction_cache_write_tokens: 9,
        compaction_cache_write_1h_tokens: 2,
        compaction_output_tokens: 3500,
        other_model_tokens: 77,
      },
    ],
    'Anthropic where a fallback answered': [
      {
        input_tokens: 20,
        output_tokens: 10,
        iterations: [
          { type: 'message', input_tokens: 20, output_tokens: 3 },
          { type: 'fallback_message', model: 'other', input_tokens: 20, output_tokens: 10 },
        ],
      },
      [20, 10, 30],
      { other_model_tokens: 23 },
    ],
    'Cohere’s reranker, that tells searches alone': [
      { search_units: 2 },
      [null, null, null],
      { search_units: 2 },
    ],
    'Gemini, as `geminiUsage` tells it': [
      { total_tokens: 3, prompt_tokens_details: { tool_use_tokens: 2 } },
      [null, null, 3],
      { tool_use_tokens: 2 },
    ],
    'an image model': [
      {
        input_tokens: 20,
        output_tokens: 10,
        input_tokens_details: { text_tokens: 5, image_tokens: 15 },
        output_tokens_details: { text_tokens: 1, image_tokens: 9 },
      },
      [20, 10, 30],
      {
        input_text_tokens: 5,
        input_image_tokens: 15,
        output_text_tokens: 1,
        output_image_tokens: 9,
      },
    ],
  };

  for (const [provider, [raw, counts, details]] of Object.entries(cases)) {
    it(`The usage reader reads the usage of ${provider}`, () => {
      const usage = readUsage(raw);
      expect([usage?.inputTokens, usage?.outputTokens, usage?.totalTokens]).to.deep.equal(counts);
      expect(usage?.details).to.deep.equal(details);
    });
  }

  it('The usage reader has a description for each name, and an example for each', () => {
    const told = new Set(Object.values(cases).flatMap(([, , details]) => Object.keys(details)));
    // What the items of an answer tell, and not its usage.
    const shown = ['file_search_calls', 'code_execution_calls', 'image_generation_calls'];
    expect([...told, ...shown]).to.have.members(Object.keys(detailNames));
    for (const meaning of Object.values(detailNames)) expect(meaning).to.not.equal('');
  });

  it("The usage reader tells the terms of a special price in the provider's words", () => {
    const terms = (raw: object) => readUsage({ total_tokens: 1, ...raw })?.terms;
    expect(terms({ service_tier: 'batch', speed: 'fast', inference_geo: 'us' })).to.deep.equal([
      'service_tier batch',
      'speed fast',
      'inference_geo us',
    ]);
    expect(terms({ fallback_credit: { status: { type: 'redeemed' } } })).to.deep.equal([
      'fallback_credit redeemed',
    ]);
    for (const standard of ['standard', 'default', 'auto', 'on_demand', '', null, 7, {}]) {
      expect(terms({ service_tier: standard, speed: standard }), JSON.stringify(standard)).to.equal(
        undefined,
      );
    }
    for (const geo of ['global', 'not_available']) {
      expect(terms({ inference_geo: geo })).to.equal(undefined);
    }
    expect(terms({ speed: 'x'.repeat(1000) })?.[0]).to.have.length(6 + 64);
  });

  it('The usage reader sums the total only where both counts are known', () => {
    expect(readUsage({ input_tokens: 1, output_tokens: 2 })?.totalTokens).to.equal(3);
    expect(readUsage({ input_tokens: 1 })).to.include({ outputTokens: null, totalTokens: null });
  });

  it('The usage reader ignores a value that is not a count', () => {
    for (const value of [-1, 1.5, Number.NaN, Infinity, 2 ** 53, '7', true, null, [], {}]) {
      expect(readUsage({ prompt_tokens: value }), JSON.stringify(value)).to.equal(null);
      const details = { cached_tokens: value, prompt_tokens_details: value };
      expect(readUsage({ total_tokens: 0, ...details })?.details).to.deep.equal({});
    }
  });

  it('The usage reader returns null where nothing is counted', () => {
    for (const raw of [undefined, null, {}, [], 'usage', 7, { cached_tokens: 3 }]) {
      expect(readUsage(raw)).to.equal(null);
    }
  });

  it('The usage reader knows only the listed names, whatever the provider sends', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (raw) => {
        const usage = readUsage({ total_tokens: 1, ...raw });
        for (const name of Object.keys(usage?.details ?? {})) {
          expect(detailNames).to.have.property(name);
        }
      }),
    );
  });
});
