import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { type Answer, dies, json, type Recorded, type Upstream } from './upstream.ts';

/** A host with `perItem: true` in front of a provider of embeddings. */
export interface ItemDoor {
  readonly upstream: Upstream;
  ask(
    body: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<{ status: number; text: string; headers: Readonly<Record<string, unknown>> }>;
  records(model: string, count: number): Promise<readonly UsageRecord[]>;
  close(): Promise<void>;
}

interface Question {
  readonly model: string;
  readonly input: string | readonly unknown[];
  readonly encoding_format?: string;
  readonly dimensions?: number;
}

interface Embeddings {
  readonly object: string;
  readonly model: string;
  readonly data: readonly { readonly index: number; readonly embedding: unknown }[];
  readonly usage: {
    readonly prompt_tokens: number;
    readonly total_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens: number };
  };
}

/** Returns a vector that identifies its input. */
export function vectorOf(
  input: unknown,
  { encoding_format: format, dimensions = 3 }: Partial<Question> = {},
) {
  const seed = JSON.stringify(input);
  const vector = Array.from(
    { length: dimensions },
    (_, at) => seed.charCodeAt(at % seed.length) / 7,
  );
  if (format !== 'base64') return vector;
  return Buffer.from(new Float32Array(vector).buffer).toString('base64');
}

const lengthOf = (input: unknown) => (input as string | readonly unknown[]).length;

export function questionIn({ body }: Recorded): Question {
  return JSON.parse(body.toString()) as Question;
}

/** Answers like a provider. Counts a token per character of text, or per item of a token list. */
export function embeddingsFor(question: Question, more: object = {}): string {
  const { input, model } = question;
  const isOne = typeof input === 'string' || typeof input[0] === 'number';
  const inputs: readonly unknown[] = isOne ? [input] : input;
  const tokens = inputs.reduce<number>((sum, one) => sum + lengthOf(one), 0);
  return JSON.stringify({
    object: 'list',
    data: inputs.map((one, index) => ({
      object: 'embedding',
      index,
      embedding: vectorOf(one, question),
    })),
    model: `${model}-answered`,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
    ...more,
  });
}

const embedder: Answer = (request, res) =>
  json(embeddingsFor(questionIn(request)), { etag: '"whole"', 'x-request-id': 'r' })(request, res);

/** Defines the tests of requests for several embeddings that every host must pass. */
export function describePerItem(name: string, open: () => Promise<ItemDoor>): void {
  describe(`${name} with embeddings by item`, () => {
    let door: ItemDoor;
    let count = 0;
    let model = '';
    before(async () => {
      door = await open();
    });
    after(() => door.close());
    beforeEach(() => {
      model = `embed-${++count}`;
      door.upstream.answer(embedder);
    });

    async function ask(input: Question['input'], more: object = {}, headers = {}) {
      const before = door.upstream.requests.length;
      const reply = await door.ask({ model, input, ...more }, headers);
      const asked = door.upstream.requests.slice(before).map((one) => questionIn(one).input);
      return { ...reply, asked, json: JSON.parse(reply.text) as Embeddings };
    }
    const vectors = ({ json: { data } }: { json: Embeddings }) =>
      data.map(({ index, embedding }) => [index, embedding]);
    const expected = (inputs: readonly unknown[], more: Partial<Question> = {}) =>
      inputs.map((input, index) => [index, vectorOf(input, more)]);

    it(`${name} asks only for embeddings that are not stored, and answers in the request's order`, async () => {
      const first = await ask(['one', 'three']);
      expect(first.asked).to.deep.equal([['one', 'three']]);
      const mixed = await ask(['zero', 'one', 'two', 'three', 'four']);
      expect(mixed.asked).to.deep.equal([['zero', 'two', 'four']]);
      expect(vectors(mixed)).to.deep.equal(expected(['zero', 'one', 'two', 'three', 'four']));
      expect(mixed.json).to.include({ object: 'list', model: `${model}-answered` });
      expect(mixed.headers).to.include({
        'cache-status': 'llm-cache; fwd=partial',
        'content-length': String(Buffer.byteLength(mixed.text)),
      });
      expect(mixed.headers).to.not.have.any.keys('etag', 'x-cache');
      const all = await ask(['four', 'three', 'zero']);
      expect(all.asked).to.deep.equal([]);
      expect(vectors(all)).to.deep.equal(expected(['four', 'three', 'zero']));
      expect(all.headers).to.include({ 'x-cache': 'HIT (exact)' });
      expect(all.headers['cache-status']).to.match(/^llm-cache; hit; ttl=3(600|599)$/);
    });

    it(`${name} reports which embeddings were billed and saved, in the answer and in the records`, async () => {
      await ask(['ab', 'abcd']);
      const { usage } = (await ask(['ab', 'abcdef', 'abcd'])).json;
      expect(usage).to.deep.equal({
        prompt_tokens: 12,
        total_tokens: 12,
        prompt_tokens_details: { cached_tokens: 6 },
      });
      const all = await ask(['abcd', 'ab']);
      expect(all.json.usage.prompt_tokens_details).to.deep.equal({ cached_tokens: 6 });
      const records = await door.records(model, 4);
      expect(
        records.map((one) => [one.cache_type, one.billed, one.input_tokens, one.total_tokens]),
      ).to.deep.equal([
        [null, true, 6, 6],
        [null, true, 6, 6],
        ['exact', false, 6, 6],
        ['exact', false, 6, 6],
      ]);
      expect(records[1]?.id).to.not.equal(records[2]?.id);
      expect(records[1]?.request_id).to.equal(records[2]?.request_id);
    });

    it(`${name} asks once for an embedding input that occurs twice`, async () => {
      const twice = await ask(['a', 'b', 'a', 'b', 'a']);
      expect(twice.asked).to.deep.equal([['a', 'b']]);
      expect(vectors(twice)).to.deep.equal(expected(['a', 'b', 'a', 'b', 'a']));
      expect(twice.json.usage).to.deep.equal({
        prompt_tokens: 5,
        total_tokens: 5,
        prompt_tokens_details: { cached_tokens: 3 },
      });
      expect((await ask(['b', 'b'])).asked).to.deep.equal([]);
    });

    it(`${name} keeps formats, dimensions and other members of embeddings apart`, async () => {
      const ways: object[] = [
        {},
        { encoding_format: 'base64' },
        { dimensions: 5 },
        { dimensions: 5, encoding_format: 'base64' },
        { user: 'ada' },
      ];
      for (const way of ways) {
        expect((await ask(['x', 'y'], way)).asked, JSON.stringify(way)).to.have.length(1);
        const again = await ask(['y', 'z', 'x'], way);
        expect(again.asked).to.deep.equal([['z']]);
        expect(vectors(again)).to.deep.equal(expected(['y', 'z', 'x'], way));
        expect(questionIn(door.upstream.last)).to.deep.equal({ model, input: ['z'], ...way });
      }
    });

    it(`${name} takes lists of tokens for embedding inputs, and one list of tokens for one input`, async () => {
      await ask([[1, 2], [3]]);
      const again = await ask([[3], [4, 5, 6], [1, 2]]);
      expect(again.asked).to.deep.equal([[[4, 5, 6]]]);
      expect(vectors(again)).to.deep.equal(expected([[3], [4, 5, 6], [1, 2]]));
      expect((await ask([4, 5, 6])).asked).to.deep.equal([]);
      expect((await ask(['3'])).asked).to.deep.equal([['3']]);
    });

    it(`${name} shares an embedding with a request for that input alone, either way`, async () => {
      await ask('alone');
      expect((await ask(['alone'])).asked).to.deep.equal([]);
      expect((await ask(['alone', 'other'])).asked).to.deep.equal([['other']]);
      const single = await ask('other');
      expect(single.asked).to.deep.equal([]);
      expect(vectors(single)).to.deep.equal(expected(['other']));
      expect(single.json.usage).to.deep.equal({ prompt_tokens: 5, total_tokens: 5 });
    });

    it(`${name} stores no embeddings of the wrong number, and passes them on as they came`, async () => {
      for (const inputs of [
        ['a', 'b', 'c'],
        ['a', 'b'],
      ]) {
        const wrong = embeddingsFor({ model, input: 'a' });
        door.upstream.answer(json(wrong));
        expect((await ask(inputs)).text).to.equal(wrong);
        door.upstream.answer(embedder);
        expect((await ask(inputs)).asked).to.deep.equal([inputs]);
        model = `embed-${++count}`;
      }
      await ask(['a']);
      const long = embeddingsFor({ model, input: ['b', 'c', 'd'] });
      door.upstream.answer(json(long));
      const partly = await ask(['a', 'b', 'c']);
      expect([partly.asked, partly.text]).to.deep.equal([[['b', 'c']], long]);
      door.upstream.answer(embedder);
      // A malformed partial answer makes the next request ask for the whole.
      expect((await ask(['a', 'b', 'c'])).asked).to.deep.equal([['a', 'b', 'c']]);
      expect((await ask(['c', 'b', 'a'])).asked).to.deep.equal([]);
    });

    it(`${name} joins no embeddings of two models or two kinds`, async () => {
      for (const other of [
        { model: 'another' },
        { dimensions: 7 },
        { encoding_format: 'base64' },
      ]) {
        await ask(['a']);
        const question = { model, input: ['b'], ...other };
        const odd = embeddingsFor(question, { model: `${question.model}-answered` });
        door.upstream.answer(json(odd));
        const mixed = await ask(['a', 'b']);
        expect([mixed.asked, mixed.text]).to.deep.equal([[['b']], odd]);
        door.upstream.answer(embedder);
        expect((await ask(['a', 'b'])).asked).to.deep.equal([['a', 'b']]);
        model = `embed-${++count}`;
      }
    });

    it(`${name} answers 502 for unreadable embeddings, and asks for all of them the next time`, async () => {
      await ask(['a']);
      const part = embeddingsFor({ model, input: ['b'] });
      door.upstream.answer(json(' '.repeat(9 * 1024 * 1024) + part));
      const failed = await ask(['a', 'b']);
      expect([failed.status, failed.asked]).to.deep.equal([502, [['b']]]);
      expect(failed.json).to.have.nested.property('error.type', 'bad_gateway');
      expect((await door.records(model, 2))[1]).to.include({ status: 502, total_tokens: null });
      door.upstream.answer(embedder);
      expect((await ask(['a', 'b'])).asked).to.deep.equal([['a', 'b']]);
    });

    it(`${name} joins embeddings that come byte by byte, with trailers`, async () => {
      await ask(['a']);
      door.upstream.answer((request, res) => {
        res.writeHead(200, { 'content-type': 'application/json', trailer: 'x-sum' });
        const body = embeddingsFor(questionIn(request)) + ' '.repeat(5000);
        for (const byte of Buffer.from(body)) res.write(Buffer.of(byte));
        res.addTrailers({ 'x-sum': '1' });
        res.end();
      });
      const mixed = await ask(['b', 'a']);
      expect(vectors(mixed)).to.deep.equal(expected(['b', 'a']));
      expect(mixed.headers).to.not.have.property('trailer');
    });

    it(`${name} survives embeddings whose model is an object that does not convert to text, or that are nested very deeply`, async () => {
      const deep = '['.repeat(20_000) + ']'.repeat(20_000);
      for (const odd of ['"model":{"toString":1,"valueOf":1}', `"model":"m","deep":${deep}`]) {
        const wrong = (question: Question) => `${embeddingsFor(question).slice(0, -1)},${odd}}`;
        door.upstream.answer((request, res) => json(wrong(questionIn(request)))(request, res));
        await door.ask({ model, input: ['a', 'b'] });
        const before = door.upstream.requests.length;
        const reply = await door.ask({ model, input: ['a', 'b', 'c'] });
        expect(reply.status).to.equal(200);
        expect(door.upstream.requests.length).to.equal(before + 1);
        door.upstream.answer(embedder);
        expect((await ask(['x', 'y'])).status).to.equal(200);
        model = `embed-${++count}`;
      }
    });

    it(`${name} stores nothing of an answer that carries much besides its embeddings`, async () => {
      const inputs = Array.from({ length: 20 }, (_, at) => `input ${at}`);
      const junk = { junk: 'x'.repeat(500_000) };
      door.upstream.answer((request, res) =>
        json(embeddingsFor(questionIn(request), junk))(request, res),
      );
      expect((await ask(inputs)).json).to.include(junk);
      expect((await ask(inputs)).asked).to.deep.equal([inputs]);
      // The answer to a single item is stored whole, junk included.
      await ask(['input 0']);
      expect((await ask(['input 0'])).asked).to.deep.equal([]);
    });

    it(`${name} passes on an error of an embeddings call that is too large to hold`, async () => {
      await ask(['a']);
      const error = ' '.repeat(33 * 1024 * 1024) + JSON.stringify({ error: { message: 'no' } });
      door.upstream.answer(json(error, {}, 500));
      const failed = await ask(['a', 'b']);
      expect([failed.status, failed.text === error]).to.deep.equal([500, true]);
    });

    it(`${name} passes on an error of an embeddings call, and stores the next answer`, async () => {
      await ask(['a']);
      const error = JSON.stringify({ error: { message: 'slow down' } });
      door.upstream.answer(json(error, { 'retry-after': '1' }, 429));
      const failed = await ask(['a', 'b']);
      expect([failed.status, failed.text, failed.headers['retry-after']]).to.deep.equal([
        429,
        error,
        '1',
      ]);
      door.upstream.answer(embedder);
      expect((await ask(['a', 'b'])).asked).to.deep.equal([['b']]);
      const records = await door.records(model, 4);
      expect(records.filter(({ cache_type: type }) => type === 'exact')).to.have.length(1);
    });

    it(`${name} delivers no part of truncated embeddings, and stores none of them`, async () => {
      await ask(['a']);
      const body = embeddingsFor({ model, input: ['b'] });
      door.upstream.answer(dies(body.slice(0, 60), { 'content-length': body.length }));
      const failed = await door.ask({ model, input: ['a', 'b'] }).catch(() => null);
      expect(failed?.status).to.not.equal(200);
      door.upstream.answer(embedder);
      expect((await ask(['b', 'a'])).asked).to.deep.equal([['b']]);
    });

    it(`${name} shares one call between identical concurrent requests for embeddings`, async () => {
      const body = { model, input: ['a', 'b'] };
      const replies = await Promise.all([door.ask(body), door.ask(body), door.ask(body)]);
      for (const { text } of replies) {
        expect(vectors({ json: JSON.parse(text) as Embeddings })).to.deep.equal(
          expected(['a', 'b']),
        );
      }
      expect(
        door.upstream.requests.filter((one) => questionIn(one).model === model),
      ).to.have.length(1);
    });

    it(`${name} decodes compressed embeddings, and joins them uncompressed`, async () => {
      await ask(['a']);
      door.upstream.answer((request, res) =>
        json(gzipSync(embeddingsFor(questionIn(request))), { 'content-encoding': 'gzip' })(
          request,
          res,
        ),
      );
      const mixed = await ask(['b', 'a'], {}, { 'accept-encoding': 'gzip, br' });
      expect(vectors(mixed)).to.deep.equal(expected(['b', 'a']));
      expect(mixed.headers).to.not.have.property('content-encoding');
    });

    it(`${name} obeys the client's cache headers for embeddings`, async () => {
      await ask(['a', 'b']);
      expect((await ask(['a'], {}, { 'cache-control': 'no-store' })).asked).to.have.length(1);
      const fresh = await ask(['a', 'b'], {}, { 'x-cache-control': 'refresh' });
      expect(fresh.asked).to.deep.equal([['a', 'b']]);
      const only = { 'cache-control': 'only-if-cached' };
      expect((await ask(['a', 'c'], {}, only)).status).to.equal(504);
      expect((await ask(['b', 'a'], {}, only)).status).to.equal(200);
    });

    it(`${name} forwards a request for embeddings unchanged if it carries a digest of its body`, async () => {
      await ask(['a']);
      for (const header of ['content-digest', 'x-amz-content-sha256']) {
        const signed = await ask(['a', header], {}, { [header]: 'of the body' });
        expect(signed.asked).to.deep.equal([['a', header]]);
        expect(vectors(signed)).to.deep.equal(expected(['a', header]));
      }
    });

    it(`${name} keeps the embeddings of one tenant from another`, async () => {
      await ask(['a', 'b'], {}, { authorization: 'Bearer sk-1' });
      const other = await ask(['a', 'b', 'c'], {}, { authorization: 'Bearer sk-2' });
      expect(other.asked).to.deep.equal([['a', 'b', 'c']]);
      const own = await ask(['a', 'b', 'c'], {}, { authorization: 'Bearer sk-1' });
      expect(own.asked).to.deep.equal([['c']]);
    });

    it(`${name} passes on a request whose embedding inputs are not a list of inputs`, async () => {
      const odd = { model, input: ['a', 7] };
      await door.ask(odd);
      expect(questionIn(door.upstream.last)).to.deep.equal(odd);
    });
  });
}
