import { expect } from 'chai';
import * as fc from 'fast-check';
import { refusalOf } from '../../../policies/llm-cache/response-rules.ts';
import type { Answer } from '../../../policies/shared/answer.ts';
import type { JsonObject } from '../../../policies/shared/json/json.ts';
import { readGeminiTarget } from '../../../policies/shared/protocols/gemini-target.ts';
import { geminiUsage } from '../../../policies/shared/protocols/gemini-usage.ts';
import type { ProtocolName } from '../../../policies/shared/protocols/protocol.ts';
import type { RefusalReason } from '../../../policies/shared/reasons.ts';
import { readUsage } from '../../../policies/shared/usage.ts';
import { batch, blocked, events, searched, thinking } from '../../fixtures/gemini.ts';
import { framed } from '../../fixtures/streams.ts';
import { asJson, cutAt, protocolOf, validate } from '../../fixtures/validate.ts';
import { makeBody, now } from '../../support/llm-request.ts';

const models = '/v1beta/models/gemini-2.5-flash';
const encode = (text: string) => new TextEncoder().encode(text);

/** What is read of a JSON answer, or of the text of a stream. */
function read(answer: unknown, name: ProtocolName = 'gemini'): Answer {
  return typeof answer === 'string'
    ? validate(name, answer)
    : validate(name, JSON.stringify(answer), asJson);
}

/** Why that answer is not stored; null when it is. */
function verdict(answer: unknown, request: object = {}): RefusalReason | null {
  const method = typeof answer === 'string' ? ':streamGenerateContent' : ':generateContent';
  const protocol = protocolOf('gemini');
  const asked = { protocol, path: models + method, query: '?alt=sse' };
  const facts = now(makeBody(request).facts(asked));
  return refusalOf(read(answer), protocol, facts);
}

function ended(finishReason: string, parts: readonly object[] = [{ text: 'Hello' }]): JsonObject {
  return { candidates: [{ content: { parts, role: 'model' }, finishReason }] };
}

describe('The target of a request to Gemini', () => {
  for (const [target, model, isStream] of [
    [`${models}:generateContent`, 'gemini-2.5-flash', false],
    [`${models}:generateContent?alt=sse`, 'gemini-2.5-flash', false],
    [`${models}:streamGenerateContent`, 'gemini-2.5-flash', false],
    [`${models}:streamGenerateContent?alt=json`, 'gemini-2.5-flash', false],
    [`${models}:streamGenerateContent?alt=sse`, 'gemini-2.5-flash', true],
    [`${models}:streamGenerateContent?key=k&alt=sse`, 'gemini-2.5-flash', true],
    [`${models}:streamGenerateContent?%24alt=sse&key=k`, 'gemini-2.5-flash', true],
    [`${models}:streamGenerateContent?salt=sse`, 'gemini-2.5-flash', false],
    ['/v1beta/tunedModels/my%20own:generateContent', 'my own', false],
    ['/v1beta/models/100%:generateContent', '100%', false],
    ['/v1/projects/p/locations/l/endpoints/77:streamGenerateContent?alt=sse', '77', true],
    ['/v1beta/models/:generateContent', null, false],
  ] as const) {
    it(`The Gemini target ${target} is ${isStream ? 'a stream' : 'JSON'} of ${model ?? 'no model'}`, () => {
      const [path = '', query = ''] = target.split(/(?=\?)/);
      expect(readGeminiTarget({ path, query })).to.deep.equal({ model, isStream });
    });
  }

  it('A Gemini body is read by its target, whatever an equal body was read by before', () => {
    const body = makeBody({ model: 'not this', stream: true, contents: [] });
    const protocol = protocolOf('gemini');
    const facts = (path: string, query: string) => now(body.facts({ protocol, path, query }));
    expect(facts('/models/a:generateContent', '')).to.include({ model: 'a', isStream: false });
    expect(facts('/models/b:streamGenerateContent', '?alt=sse')).to.include({
      model: 'b',
      isStream: true,
    });
  });
});

describe('An answer of Gemini', () => {
  it('A Gemini answer can be stored as JSON, stream and array', () => {
    expect(verdict(thinking)).to.equal(null);
    expect(verdict(framed(events))).to.equal(null);
    const array = read(events);
    expect(array).to.deep.include({ fault: null, finishReasons: ['STOP'] });
    expect(array.usage).to.deep.equal(read(framed(events)).usage);
  });

  it('A Gemini answer tells its id, model and usage, its thoughts among the output', () => {
    expect(read(thinking)).to.deep.include({
      id: 'Un6LacrVMcjUxs0PmJfWoQc',
      model: 'gemini-3-pro-preview',
      usage: {
        inputTokens: 9,
        outputTokens: 272,
        totalTokens: 281,
        details: { reasoning_tokens: 244, input_text_tokens: 9 },
      },
    });
    const stream = read(framed(events));
    expect(stream).to.include({ id: 'vQRpaqzAPN2M9MoPxPq2uQ4', model: 'gemini-3-flash-preview' });
    expect(stream.usage).to.include({ inputTokens: 15, outputTokens: 53, totalTokens: 68 });
  });

  it('A Gemini answer to a blocked prompt is refused, and its usage is read', () => {
    expect(verdict(blocked)).to.equal('refusal');
    expect(verdict(framed([blocked]))).to.equal('refusal');
    expect(read(blocked).usage).to.include({ inputTokens: 9, outputTokens: null, totalTokens: 9 });
  });

  it("A Gemini answer is refused by any candidate's finish reason that is not one of a whole answer", () => {
    for (const reason of [
      'SAFETY',
      'RECITATION',
      'LANGUAGE',
      'OTHER',
      'BLOCKLIST',
      'PROHIBITED_CONTENT',
      'SPII',
      'MALFORMED_FUNCTION_CALL',
      'UNEXPECTED_TOOL_CALL',
      'IMAGE_SAFETY',
      'FINISH_REASON_UNSPECIFIED',
      'ONE_TO_COME',
    ]) {
      expect(verdict(ended(reason)), reason).to.equal('finish-reason');
      expect(verdict({ candidates: [{ finishReason: reason }] }), reason).to.equal('finish-reason');
      expect(verdict(framed([ended(reason)])), reason).to.equal('finish-reason');
    }
    const { candidates } = ended('STOP');
    const second = { finishReason: 'SAFETY', index: 1 };
    expect(verdict({ candidates: [...(candidates as object[]), second] })).to.equal(
      'finish-reason',
    );
  });

  it('A Gemini answer that was cut at a length is stored where the request set it', () => {
    const cut = ended('MAX_TOKENS');
    expect(verdict(cut)).to.equal('limit');
    for (const config of [
      { generationConfig: { maxOutputTokens: 5, responseSchema: { type: 'x'.repeat(5000) } } },
      { generationConfig: { max_output_tokens: 5 } },
      { generation_config: { max_output_tokens: 5 } },
    ]) {
      expect(verdict(cut, config), JSON.stringify(config).slice(0, 80)).to.equal(null);
    }
    expect(verdict(cut, { generationConfig: { maxOutputTokens: null } })).to.equal('limit');
    expect(verdict(cut, { maxOutputTokens: 5 })).to.equal('limit');
  });

  it('A Gemini answer with fewer candidates than asked for is incomplete', () => {
    const two = { generationConfig: { candidateCount: 2 } };
    const [one] = ended('STOP')['candidates'] as [object];
    expect(verdict({ candidates: [one] }, two)).to.equal('incomplete');
    expect(verdict({ candidates: [one, { ...one, index: 1 }] }, two)).to.equal(null);
    expect(
      verdict(framed([{ candidates: [one] }, { candidates: [{ ...one, index: 1 }] }]), two),
    ).to.equal(null);
  });

  it('A Gemini stream that ends before its last candidate has is incomplete', () => {
    const [first, last] = events;
    expect(verdict(framed([first]))).to.equal('incomplete');
    expect(verdict(framed([]))).to.equal('no-body');
    const second = { candidates: [{ content: { parts: [{ text: 'b' }] }, index: 1 }] };
    expect(verdict(framed([first, second, last]))).to.equal('incomplete');
    expect(read([first]).fault).to.equal('incomplete');
    expect(read([first, 'text', last]).fault).to.equal('incomplete');
    expect(read([]).fault).to.equal('incomplete');
  });

  it('A Gemini stream that was joined from two is incomplete', () => {
    const other = events.map((event) => ({ ...event, responseId: 'another' }));
    expect(verdict(framed([...events, ...other]))).to.equal('incomplete');
  });

  it('A Gemini stream may go on after its finish reason, and its last usage counts', () => {
    const last = { usageMetadata: { promptTokenCount: 15, candidatesTokenCount: 9 } };
    const answer = read(framed([...events, last]));
    expect(answer).to.deep.include({ fault: null, finishReasons: ['STOP'] });
    expect(answer.usage).to.include({ inputTokens: 15, outputTokens: 9 });
  });

  it('A Gemini answer is refused for an error in any part, or in a page that was not fetched', () => {
    const error = { error: { code: 503, message: 'overloaded', status: 'UNAVAILABLE' } };
    expect(verdict(framed([...events, error]))).to.equal('error-in-body');
    expect(read([...events, error]).fault).to.equal('error-in-body');
    expect(read([error]).fault).to.equal('error-in-body');
    const fetched = (urlRetrievalStatus: string) => ({
      candidates: [
        {
          ...thinking.candidates[0],
          urlContextMetadata: { urlMetadata: [{ retrievedUrl: 'u', urlRetrievalStatus }] },
        },
      ],
    });
    expect(verdict(fetched('URL_RETRIEVAL_STATUS_ERROR'))).to.equal('error-in-body');
    expect(verdict(fetched('URL_RETRIEVAL_STATUS_SUCCESS'))).to.equal(null);
    expect(verdict(fetched('URL_RETRIEVAL_STATUS_PAYWALL'))).to.equal(null);
  });

  it('A Gemini answer is refused where a filter says that it took something, or has once stopped it', () => {
    const rated = (isBlocked: boolean) => ({
      candidates: [
        {
          ...thinking.candidates[0],
          safetyRatings: [{ category: 'HARM', blocked: isBlocked }, null],
        },
      ],
    });
    expect(verdict(rated(false))).to.equal(null);
    expect(verdict(rated(true))).to.equal('refusal');
    expect(verdict(framed([ended('SAFETY'), ...events]))).to.equal('finish-reason');
  });

  it('A Gemini answer counts the searches that the provider made', () => {
    const grounded = {
      ...thinking,
      candidates: [
        { ...thinking.candidates[0], groundingMetadata: { webSearchQueries: ['a', 'b'] } },
      ],
    };
    expect(read(grounded).usage?.details).to.include({ web_search_requests: 2 });
    expect(read(framed([grounded, grounded])).usage?.details).to.include({
      web_search_requests: 2,
    });
  });

  it('A Gemini stream of too many candidates is refused', () => {
    const many = Array.from({ length: 65 }, (_, index) => ({
      candidates: [{ ...thinking.candidates[0], index }],
    }));
    expect(verdict(framed(many.slice(0, 64)))).to.equal(null);
    expect(verdict(framed(many))).to.equal('incomplete');
  });

  it('A Gemini stream is judged the same in any pieces', () => {
    const bytes = encode(framed(events));
    const whole = validate('gemini', bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 50 }), (cuts) => {
        expect(validate('gemini', cutAt(bytes, cuts))).to.deep.equal(whole);
      }),
      { numRuns: 50 },
    );
  });

  it('The readers of Gemini, rerank and moderation answers never throw', () => {
    const members = [
      'candidates',
      'usageMetadata',
      'promptFeedback',
      'responseId',
      'embedding',
      'embeddings',
      'results',
      'meta',
    ];
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...members), fc.jsonValue()),
        fc.constantFrom<ProtocolName>('gemini', 'gemini-embeddings', 'rerank', 'moderations'),
        (json, name) => {
          const { readAnswer, readList } = protocolOf(name);
          const faults = [null, 'incomplete', 'error-in-body'];
          expect(readAnswer(json).fault).to.be.oneOf(faults);
          expect(readList?.([json, null]).fault ?? null).to.be.oneOf(faults);
        },
      ),
    );
  });
});

describe("The usage in Gemini's answers", () => {
  const usage = (metadata: object) => readUsage(geminiUsage(metadata));

  it('The usage of Gemini has tool tokens in the input, and adds up to its total', () => {
    expect(usage(searched)).to.deep.equal({
      inputTokens: 77,
      outputTokens: 160,
      totalTokens: 237,
      details: {
        cached_tokens: 4,
        reasoning_tokens: 89,
        input_text_tokens: 12,
        tool_use_tokens: 65,
      },
    });
  });

  it('The usage of Gemini tells audio and images apart, without what was cached', () => {
    const details = usage({
      promptTokenCount: 300,
      candidatesTokenCount: 7,
      cachedContentTokenCount: 100,
      promptTokensDetails: [
        { modality: 'AUDIO', tokenCount: 150 },
        { modality: 'IMAGE', tokenCount: 150 },
      ],
      cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 100 }],
      candidatesTokensDetails: [{ modality: 'AUDIO', tokenCount: 7 }],
    })?.details;
    expect(details).to.deep.equal({
      cached_tokens: 100,
      input_audio_tokens: 50,
      input_image_tokens: 150,
      output_audio_tokens: 7,
    });
  });

  it('The usage of Gemini tells the tier, by either of its names', () => {
    const terms = (more: object) => usage({ promptTokenCount: 1, ...more })?.terms;
    expect(terms({ serviceTier: 'flex' })).to.deep.equal(['service_tier flex']);
    expect(terms({ trafficType: 'ON_DEMAND_FLEX' })).to.deep.equal(['service_tier flex']);
    expect(terms({ trafficType: 'PROVISIONED_THROUGHPUT' })).to.deep.equal([
      'service_tier provisioned_throughput',
    ]);
    for (const standard of [
      { serviceTier: 'standard' },
      { serviceTier: 'unspecified' },
      { trafficType: 'ON_DEMAND' },
      { trafficType: 'TRAFFIC_TYPE_UNSPECIFIED' },
      {},
    ]) {
      expect(terms(standard), JSON.stringify(standard)).to.equal(undefined);
    }
  });

  it('The usage of Gemini is unknown where a value is not a count', () => {
    for (const broken of [-1, '7', 0.5]) {
      expect(usage({ promptTokenCount: broken, candidatesTokenCount: 3 })).to.equal(null);
      expect(usage({ promptTokenCount: 3, thoughtsTokenCount: broken })).to.equal(null);
      expect(usage({ candidatesTokenCount: 3, thoughtsTokenCount: broken })).to.equal(null);
    }
    expect(geminiUsage(null)).to.equal(null);
  });
});

describe('Embeddings of Gemini', () => {
  const { parts } = protocolOf('gemini-embeddings');

  it('Gemini embeddings are one per request of a batch, with their usage', () => {
    const answer = read(batch, 'gemini-embeddings');
    expect(answer).to.deep.include({ fault: null, parts: 2 });
    expect(answer.usage).to.include({ inputTokens: 12, outputTokens: null });
    expect(parts({ content: {} })).to.equal(1);
    expect(parts({ requests: [{}, {}] })).to.equal(2);
  });

  it('Gemini embeddings are incomplete where one is missing', () => {
    const protocol = protocolOf('gemini-embeddings');
    const path = '/v1beta/models/gemini-embedding-001:batchEmbedContents';
    const asked = { protocol, path, query: '' };
    const judged = (count: number) => {
      const requests = Array.from({ length: count }, () => ({ content: {} }));
      const facts = now(makeBody({ requests }).facts(asked));
      return refusalOf(read(batch, 'gemini-embeddings'), protocol, facts);
    };
    expect([judged(2), judged(3)]).to.deep.equal([null, 'incomplete']);
  });
});
