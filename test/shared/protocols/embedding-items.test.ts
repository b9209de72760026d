import { expect } from 'chai';
import * as fc from 'fast-check';
import { embeddingItems } from '../../../policies/shared/protocols/embedding-items.ts';
import { dividedUsage, totalTokens } from '../../../policies/llm-cache/items/item-usage.ts';

const { readInputs, readItems, joinItems } = embeddingItems;
const encode = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

describe('The inputs of an embeddings request', () => {
  it('Embedding inputs are a list of texts or of lists of tokens, and nothing else', () => {
    for (const input of [['a'], ['a', 'b'], [[1], [2, 3]], ['', 'a'], ['a', [1]]]) {
      expect(readInputs(encode({ input }))?.weights, JSON.stringify(input)).to.have.length(
        input.length,
      );
    }
    for (const input of ['a', [1, 2], [], [[]], ['a', null], [['a']], [[1.5]], {}, null, 7]) {
      expect(readInputs(encode({ input })), JSON.stringify(input)).to.equal(null);
    }
    expect(readInputs(encode({}))).to.equal(null);
    expect(readInputs(encode('{"input":["a"],"input":["b"]}'))).to.equal(null);
    const many = Array.from({ length: 4097 }, () => 'a');
    expect(readInputs(encode({ input: many }))).to.equal(null);
    expect(readInputs(encode({ input: many.slice(1) }))).to.not.equal(null);
  });

  it('Embedding inputs are none where a number is larger than a double can tell from the next', () => {
    expect(readInputs(encode('{"input":[[9007199254740991]]}'))).to.not.equal(null);
    expect(readInputs(encode('{"input":[[9007199254740993]]}'))).to.equal(null);
    expect(readInputs(encode('{"input":[["a"],[1e21]]}'))).to.equal(null);
  });

  it('Embedding inputs are none where all that stands beside them would be copied too often', () => {
    const many = Array.from({ length: 4096 }, (_, at) => `${at}`);
    const user = (length: number) => ({ input: many, user: 'u'.repeat(length) });
    expect(readInputs(encode(user(480)))).to.not.equal(null);
    expect(readInputs(encode(user(520)))).to.equal(null);
    expect(readInputs(encode({ ...user(1_000_000), input: ['a', 'b'] }))).to.not.equal(null);
  });

  it('Embedding inputs replace the list in a body that else stays the same to the byte', () => {
    const body =
      '{ "seed" : 12345678901234567890.50,\n "input" : [ "a\\u00e9" , [1, 2] ], "x":"é" }';
    const list = readInputs(encode(body));
    const withInput = (value: string) => body.replace(/\[ "a.*?\] \]/, value);
    expect(decode(list?.one(0))).to.equal(withInput('"aé"'));
    expect(decode(list?.one(1))).to.equal(withInput('[1,2]'));
    expect(decode(list?.some([1, 0]))).to.equal(withInput('[[1,2],"aé"]'));
  });

  it('Embedding inputs are the same when they are read again, whatever they say', () => {
    const input = fc.array(
      fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.nat(), { minLength: 1 })),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(input, (inputs) => {
        const list = readInputs(encode({ input: inputs, model: 'm' }));
        for (const at of inputs.keys()) {
          expect(JSON.parse(decode(list?.one(at)))).to.deep.equal({
            input: JSON.parse(JSON.stringify(inputs[at])) as unknown,
            model: 'm',
          });
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('The items of an embeddings answer', () => {
  const item = (index: number | undefined, embedding: unknown) => ({ index, embedding });
  const read = (data: unknown, count: number) => readItems(encode({ model: 'm', data }), count);

  it('Embedding items are in the order of the inputs, by their indexes where they have some', () => {
    const answer = read([item(1, [2]), item(0, [1])], 2);
    expect(answer?.items.map(({ embedding }) => embedding)).to.deep.equal([[1], [2]]);
    const plain = read([item(undefined, [2]), item(undefined, [1])], 2);
    expect(plain?.items.map(({ embedding }) => embedding)).to.deep.equal([[2], [1]]);
  });

  it('Embedding items are refused where one is missing, too many, or of another kind or length', () => {
    const two = [item(0, [1]), item(1, [2])];
    expect(read(two, 1)).to.equal(null);
    expect(read(two, 3)).to.equal(null);
    for (const data of [
      [item(0, [1]), item(0, [2])],
      [item(0, [1]), item(2, [2])],
      [item(0, [1]), item(1, [2, 3])],
      [item(0, [1]), item(1, 'AAAA')],
      [item(0, ''), item(1, '')],
      [item(0, [1]), null],
      'AAAA',
      undefined,
    ]) {
      expect(read(data, 2), JSON.stringify(data)).to.equal(null);
    }
    expect(readItems(encode('{"data":'), 1)).to.equal(null);
  });

  it('Embedding items are renumbered when joined, with their usage together', () => {
    const answer = read([item(0, [1]), item(1, [2])], 2);
    if (answer === null) throw new Error('no answer');
    const joined = (usage: { total: number; saved: number } | null) =>
      JSON.parse(
        decode(joinItems({ ...answer, items: answer.items.toReversed() }, usage)),
      ) as object;
    expect(joined(null)).to.deep.equal({ model: 'm', data: [item(0, [2]), item(1, [1])] });
    expect(joined({ total: 7, saved: 0 })).to.deep.include({
      usage: { prompt_tokens: 7, total_tokens: 7 },
    });
  });
});

describe('The usage of one item', () => {
  const usage = (tokens: number) => ({
    inputTokens: tokens,
    outputTokens: null,
    totalTokens: tokens,
    details: {},
  });

  it('The usage of one item is its part by length, and all parts add up to the whole', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.nat(1_000_000), weights, (tokens, lengths) => {
        const parts = dividedUsage(usage(tokens), lengths);
        expect(totalTokens(parts)).to.equal(tokens);
        for (const part of parts) expect(part?.inputTokens).to.be.at.least(0);
      }),
    );
    const parts = dividedUsage(usage(10), [1, 4]).map((part) => part?.inputTokens);
    expect(parts).to.deep.equal([2, 8]);
  });

  it('The usage of one item is unknown where the whole tells none', () => {
    expect(dividedUsage(null, [1, 2])).to.deep.equal([null, null]);
    expect(totalTokens([usage(1), null])).to.equal(null);
  });
});
