import { expect } from 'chai';
import { refusalOf } from '../../../policies/llm-cache/response-rules.ts';
import type { ProtocolName } from '../../../policies/shared/protocols/protocol.ts';
import { answers } from '../../support/answers.ts';
import { makeBody, now } from '../../support/llm-request.ts';
import { asJson, protocolOf, validate } from '../../fixtures/validate.ts';

function verdict(name: ProtocolName, answer: unknown, request: object): string | null {
  const protocol = protocolOf(name);
  const facts = now(makeBody(request).facts({ protocol, path: `/v1/${name}`, query: '' }));
  return refusalOf(validate(name, JSON.stringify(answer), asJson), protocol, facts);
}

const documents = ['one', { text: 'two' }, 'three'];
const results = [2, 0, 1].map((index) => ({ index, relevance_score: 1 / (index + 1) }));

describe('An answer of a reranker', () => {
  it('A rerank answer of Cohere tells the searches that are billed', () => {
    const { id, usage } = validate('rerank', answers.rerank.json, asJson);
    expect(id).to.equal('b44fe75b-e3d3-489a-b61e-1a1aede3ef72');
    expect(usage).to.deep.equal({
      inputTokens: null,
      outputTokens: null,
      totalTokens: null,
      details: { search_units: 1 },
    });
  });

  it('A rerank answer of Jina or Voyage tells the tokens that are billed', () => {
    const jina = {
      model: 'jina-reranker-v2',
      object: 'list',
      usage: { total_tokens: 815 },
      results,
    };
    const read = validate('rerank', JSON.stringify(jina), asJson);
    expect(read).to.deep.include({ model: 'jina-reranker-v2', fault: null, parts: 3 });
    expect(read.usage).to.include({ totalTokens: 815 });
    const voyage = {
      object: 'list',
      data: results,
      model: 'rerank-2',
      usage: { total_tokens: 26 },
    };
    expect(validate('rerank', JSON.stringify(voyage), asJson)).to.deep.include({
      fault: null,
      parts: 3,
    });
  });

  it('A rerank answer may be a list of results alone', () => {
    const list = results.map(({ index }) => ({ index, score: 0.5 }));
    expect(verdict('rerank', list, { query: 'q', texts: documents })).to.equal(null);
    expect(verdict('rerank', list.slice(1), { query: 'q', texts: documents })).to.equal(
      'incomplete',
    );
    expect(verdict('rerank', [], { query: 'q', texts: documents })).to.equal('incomplete');
  });

  it('A rerank answer has a result for each document, or as many as were asked for', () => {
    expect(verdict('rerank', { results }, { documents })).to.equal(null);
    const two = { results: results.slice(1) };
    expect(verdict('rerank', two, { documents })).to.equal('incomplete');
    for (const most of [{ top_n: 2 }, { top_k: 2 }]) {
      expect(verdict('rerank', two, { documents, ...most })).to.equal(null);
    }
    expect(verdict('rerank', { results }, { documents, top_n: 9 })).to.equal(null);
    expect(verdict('rerank', two, { documents, top_n: null })).to.equal('incomplete');
  });

  it('A rerank answer may carry an error', () => {
    expect(verdict('rerank', { message: 'too many requests' }, { documents })).to.equal(
      'error-in-body',
    );
    expect(verdict('rerank', { detail: 'no' }, { documents })).to.equal('error-in-body');
  });
});

describe('An answer of a moderation', () => {
  const result = { flagged: false, categories: { violence: false } };
  const of = (count: number) => ({
    model: 'm',
    results: Array.from({ length: count }, () => result),
  });

  it("A moderation answer has a verdict per text or conversation, and one for a message's parts", () => {
    for (const [input, count] of [
      ['a', 1],
      [['a', 'b'], 2],
      [
        [
          { type: 'text', text: 'a' },
          { type: 'image_url', image_url: {} },
        ],
        1,
      ],
      [[[{ role: 'user', content: 'a' }], [{ role: 'user', content: 'b' }]], 2],
    ] as const) {
      expect(verdict('moderations', of(count), { input }), JSON.stringify(input)).to.equal(null);
      if (count > 1) {
        expect(verdict('moderations', of(count - 1), { input })).to.equal('incomplete');
      }
    }
  });

  it('A moderation answer tells usage where its provider counts', () => {
    const counted = { ...of(1), usage: { prompt_tokens: 7, total_tokens: 7 } };
    const read = (answer: object) => validate('moderations', JSON.stringify(answer), asJson).usage;
    expect(read(counted)).to.include({ inputTokens: 7 });
    expect(read(of(1))).to.equal(null);
  });
});
