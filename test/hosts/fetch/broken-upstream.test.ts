import { expect } from 'chai';
import {
  type LlmCacheOptions,
  MapStore,
  type UsageRecord,
  withLlmCache,
} from '../../../policies/hosts/fetch/index.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { later } from '../../support/later.ts';
import {
  type AskParts,
  jsonResponse,
  read,
  request,
  Script,
  Source,
  sseResponse,
} from '../../support/fetch.ts';

const stream = { model: 'gpt-4o', stream: true };
const [first = '', ...rest] = answers.chat.sse.split(/(?<=\n\n)/);

/** Long enough for what is under way to come to rest. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

function setUp(options: LlmCacheOptions = {}) {
  const script = new Script(() => jsonResponse(answers.chat.json));
  const records: UsageRecord[] = [];
  const record = (one: UsageRecord) => void records.push(one);
  const wrapped = withLlmCache(script.handler, { record, ...options });
  const ask = (parts: AskParts = {}) => read(wrapped(request(parts)));
  return { script, records, wrapped, ask };
}

/** A response whose head tells that length, whatever its body is. */
const declaring = (length: number, body: BodyInit | null) =>
  new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'content-length': String(length) },
  });

async function saidDuring(act: () => Promise<void>): Promise<string[]> {
  const said: string[] = [];
  const { error } = console;
  console.error = (text: unknown) => void said.push(String(text));
  try {
    await act();
  } finally {
    console.error = error;
  }
  return said;
}

describe('withLlmCache before a handler that breaks off', () => {
  it('The fetch wrapper breaks the answer of every reader when the handler breaks off, and stores nothing', async () => {
    const { script, records, wrapped, ask } = setUp();
    const source = new Source();
    script.answer(() => sseResponse(source.body));
    const readers = [ask({ body: stream }), ask({ body: stream })];
    await eventually(() => script.requests.length === 1, 'the call');
    source.push(first);
    readers.push(read(await wrapped(request({ body: stream }))));
    await settled();
    source.break();
    for (const got of await Promise.all(readers)) {
      expect([got.text, got.broken]).to.deep.equal([first, true]);
    }
    await eventually(() => records.length === 3, 'the records');
    script.answer(() => sseResponse(answers.chat.sse));
    expect((await ask({ body: stream })).headers['cache-status']).to.equal('llm-cache; fwd=miss');
  });

  it("The fetch wrapper rethrows the handler's error to one client, and lets a waiting request call", async () => {
    const { script, ask } = setUp();
    let refuse: (error: Error) => void = () => {};
    script.answer(() => new Promise((_resolve, reject) => (refuse = reject)));
    const leader = ask().catch((error: unknown) => error);
    await eventually(() => script.requests.length === 1, 'the call');
    const waiting = ask();
    await settled();
    script.answer(() => jsonResponse(answers.chat.json));
    refuse(new Error('no'));
    expect(await leader).to.be.instanceOf(Error);
    expect((await waiting).text).to.equal(answers.chat.json);
  });

  const lies: Record<string, [length: number, body: () => BodyInit | null, text: string]> = {
    'shorter than it declares': [
      answers.chat.sse.length + 10,
      () => answers.chat.sse,
      answers.chat.sse,
    ],
    'longer than it declares': [first.length, () => new Source([first, ...rest]).body, first],
    'missing though it declares one': [100, () => null, ''],
    'empty though it declares more': [100, () => '', ''],
  };
  for (const [what, [length, body, text]] of Object.entries(lies)) {
    it(`The fetch wrapper ends a body ${what} as broken, and does not store it`, async () => {
      const { script, ask } = setUp();
      script.answer(() => declaring(length, body()));
      for (const count of [1, 2]) {
        const got = await ask({ body: stream });
        expect([got.text, got.broken]).to.deep.equal([text, true]);
        await settled();
        expect(script.requests.length).to.equal(count);
      }
    });
  }

  it('The fetch wrapper lets an answer pass whose length is as declared', async () => {
    const { script, ask } = setUp();
    const { length } = new TextEncoder().encode(answers.chat.sse);
    script.answer(() => declaring(length, answers.chat.sse));
    for (const _ of [1, 2]) {
      const got = await ask({ body: stream });
      expect([got.text, got.broken]).to.deep.equal([answers.chat.sse, false]);
      await settled();
    }
    expect(script.requests.length).to.equal(1);
  });

  it('The fetch wrapper answers with an expired entry however the handler fails before its first byte', async () => {
    const { script, ask } = setUp({ ttl: 1, staleIfError: 600 });
    await ask();
    await settled();
    const failures: Record<string, () => Response | Promise<Response>> = {
      throws: () => {
        throw new Error('no');
      },
      rejects: () => Promise.reject(new Error('no')),
      'answers with nothing': () => undefined as unknown as Response,
      'answers with a network error': () => Response.error(),
      'declares a body, and has none': () => declaring(100, null),
      'declares a body, and sends nothing of it': () => declaring(100, ''),
      'breaks off before the first byte': () => {
        const source = new Source();
        source.break();
        return jsonResponse(source.body);
      },
    };
    await later(async () => {
      for (const [what, answer] of Object.entries(failures)) {
        script.answer(answer);
        const got = await ask();
        expect([got.headers['x-cache'], got.text, what]).to.deep.equal([
          'HIT (stale)',
          answers.chat.json,
          what,
        ]);
      }
    });
  });

  it('The fetch wrapper lets another protocol take over', async () => {
    const { script, wrapped, records } = setUp({ debugHeaders: true });
    const upgraded = new Response(null);
    Object.defineProperty(upgraded, 'status', { value: 101 });
    script.answer(() => upgraded);
    expect(await wrapped(request())).to.equal(upgraded);
    await eventually(() => records.length === 1, 'the record');
    expect(records[0]).to.include({ status: 101, billed: false });
  });
});

describe('withLlmCache with an entry that cannot be delivered', () => {
  it('The fetch wrapper replaces a stored answer that cannot be delivered, counted and logged once', async () => {
    const store = new MapStore({ maxBytes: 100_000 });
    const { script, records, ask } = setUp({ store });
    await ask();
    await settled();
    const { get } = store;
    let broken = 2;
    store.get = async (key) => {
      const entry = await get.call(store, key);
      if (entry === undefined || broken-- <= 0) return entry;
      return { ...entry, headers: { 'content-type': 'application/json\r\nx: y' } };
    };
    const said = await saidDuring(async () => {
      for (const nth of [2, 3]) {
        const text = answers.chat.json.replace('Hello', `Hello ${nth}`);
        script.answer(() => jsonResponse(text));
        const got = await ask();
        expect([got.status, got.text]).to.deep.equal([200, text]);
        expect(got.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=store-error');
        expect(got.headers).to.not.have.property('x-cache');
        await settled();
      }
    });
    expect(said.length).to.equal(1);
    expect(said[0]).to.contain('the store failed');
    const hit = await ask();
    expect([hit.headers['x-cache'], script.requests.length]).to.deep.equal(['HIT (exact)', 3]);
    expect(hit.text).to.contain('Hello 3');
    await eventually(() => records.length === 4, 'one record a request');
    expect(records.map(({ cache_type, billed }) => [cache_type, billed])).to.deep.equal([
      [null, true],
      [null, true],
      [null, true],
      ['exact', false],
    ]);
  });

  it('The fetch wrapper tells a client not to retry a 504 for only-if-cached', async () => {
    const { ask } = setUp();
    const got = await ask({ headers: { 'cache-control': 'only-if-cached' } });
    expect([got.status, got.headers['x-should-retry']]).to.deep.equal([504, 'false']);
  });
});
