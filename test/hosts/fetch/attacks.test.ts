import { expect } from 'chai';
import {
  type LlmCacheOptions,
  MapStore,
  type UsageRecord,
  withLlmCache,
} from '../../../policies/hosts/fetch/index.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
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
const events = answers.chat.sse.split(/(?<=\n\n)/);
const bytes = (text: string) => new TextEncoder().encode(text);

/** Long enough for what is under way to come to rest. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A wrapped handler, its script and the records that it made. */
function setUp(options: LlmCacheOptions = {}) {
  const script = new Script(() => jsonResponse(answers.chat.json));
  const records: UsageRecord[] = [];
  const record = (one: UsageRecord) => void records.push(one);
  const wrapped = withLlmCache(script.handler, { record, ...options });
  const ask = (parts: AskParts = {}) => read(wrapped(request(parts)));
  return { script, records, wrapped, ask };
}

/** What is said on the console meanwhile. */
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

/** A body of whatever a handler puts into it. */
function bodyOf(chunks: readonly unknown[]): ReadableStream<Uint8Array> {
  const waiting = [...chunks];
  return new ReadableStream({
    pull(client) {
      const next = waiting.shift();
      if (next === undefined) client.close();
      else client.enqueue(next as Uint8Array);
    },
  });
}

describe('withLlmCache under attack', () => {
  describe('Tenants', () => {
    it('The fetch wrapper keeps host names apart, because the handler may depend on them', async () => {
      const { script, wrapped } = setUp();
      script.answer((asked) =>
        jsonResponse(answers.chat.json, { 'x-host': new URL(asked.url).host }),
      );
      const hosts = ['a.test', 'b.test', 'a.test:8080', 'a.test'];
      const states: (string | undefined)[] = [];
      for (const host of hosts) {
        const asked = new Request(`http://${host}/v1/chat/completions`, request());
        states.push((await read(wrapped(asked))).headers['x-cache']);
        await settled();
      }
      expect(states).to.deep.equal([undefined, undefined, undefined, 'HIT (exact)']);
    });

    it('The fetch wrapper gives no stored answer to a consumer of whom nothing is known', async () => {
      const nobody: unknown[] = [{}, true, () => 1, [], { name: 'ada' }, { name: 'bob' }];
      let who: unknown;
      const { ask } = setUp({ consumer: () => who });
      for (const one of [undefined, ...nobody]) {
        who = one;
        const got = await ask();
        expect([String(one), got.headers['x-cache']]).to.deep.equal([String(one), undefined]);
        await settled();
      }
      who = { name: 'ada' };
      expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
      for (const one of [undefined, null, false, '']) {
        who = one;
        expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
      }
    });

    it('The fetch wrapper tells consumers apart by ids of any type, beside equal weaker claims, and by tenant', async () => {
      let who: unknown;
      const { ask } = setUp({ consumer: () => who });
      const same = { client_id: 'web', username: 'admin' };
      for (const one of [
        { ...same, id: 1 },
        { ...same, id: '1' },
        { ...same, id: 1n },
        { ...same, id: 2n },
        { ...same, id: 1, org_id: 'a' },
        { ...same, id: 1, org_id: 'b' },
        { ...same, sub: '1', tid: 'a' },
        { ...same, sub: '1', tid: 'b' },
        { ...same, _id: 'a' },
        { ...same, _id: 'b' },
      ]) {
        who = one;
        expect((await ask()).headers['x-cache']).to.equal(undefined);
        await settled();
        expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
      }
    });

    it('The fetch wrapper stands aside for an ambiguous consumer, whatever credential came along', async () => {
      let who: unknown;
      const { ask } = setUp({ consumer: () => who });
      for (const id of [Number.NaN, 2 ** 53, '', Symbol('a'), {}, true]) {
        who = { id, client_id: 'web' };
        const got = await ask({ headers: { authorization: 'Bearer shared' } });
        expect(got.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=no-scope');
      }
    });

    it('The fetch wrapper shares an answer between host names where the host is ignored', async () => {
      const { wrapped } = setUp({ ignoreHeaders: ['host'] });
      const states: (string | undefined)[] = [];
      for (const host of ['a.test', 'b.test']) {
        const asked = new Request(`http://${host}/v1/chat/completions`, request());
        states.push((await read(wrapped(asked))).headers['x-cache']);
        await settled();
      }
      expect(states).to.deep.equal([undefined, 'HIT (exact)']);
    });

    it('The fetch wrapper tells clients apart by every header whose name says who asks', async () => {
      const { ask } = setUp();
      for (const name of ['x-litellm-api-key', 'x-forwarded-user', 'cf-access-jwt-assertion']) {
        for (const value of ['ann', 'bob']) {
          expect((await ask({ headers: { [name]: value } })).headers['x-cache']).to.equal(
            undefined,
          );
          await settled();
        }
        expect((await ask({ headers: { [name]: 'ann' } })).headers['x-cache']).to.equal(
          'HIT (exact)',
        );
      }
    });

    it('The fetch wrapper serves no stored answer to another Accept, body type or method override', async () => {
      const { ask } = setUp();
      await ask();
      await settled();
      const status = async (headers: Record<string, string>) => {
        const got = await ask({ headers });
        return got.headers['x-cache'] ?? got.headers['cache-status'];
      };
      expect(await status({})).to.equal('HIT (exact)');
      expect(await status({ accept: 'text/event-stream' })).to.equal('llm-cache; fwd=miss');
      expect(await status({ 'content-type': 'text/plain;charset=UTF-8' })).to.contain('not-json');
      expect(await status({ 'content-type': 'application/json; charset=utf-7' })).to.contain(
        'not-utf8',
      );
      expect(await status({ 'x-http-method-override': 'DELETE' })).to.contain('stateful');
    });

    it('The fetch wrapper keeps the consumer as it was when asked, though its object changes later', async () => {
      const store = new MapStore({ maxBytes: 100_000 });
      const user = { id: 'ada' };
      const { ask, records, script } = setUp({ store, consumer: () => user });
      script.answer(() => {
        user.id = 'bob';
        return jsonResponse(answers.chat.json);
      });
      await ask();
      await eventually(() => records.length === 1, 'the record');
      expect(records[0]).to.include({ consumer_id: 'ada' });
      await settled();
      expect(await store.purge({ consumer: 'ada' })).to.equal(1);
    });

    it('The fetch wrapper keeps the options as they were when given', async () => {
      const options: { consumer?: () => unknown } = { consumer: () => 'ada' };
      const { ask, records } = setUp(options);
      delete options.consumer;
      await ask();
      await eventually(() => records.length === 1, 'the record');
      expect(records[0]).to.include({ consumer_id: 'ada' });
    });
  });

  describe('A handler', () => {
    it('The fetch wrapper passes a gzip body on compressed though its first chunk is empty', async () => {
      const packed = new Blob([answers.chat.json])
        .stream()
        .pipeThrough(new CompressionStream('gzip'));
      const gzip = new Uint8Array(await new Response(packed).arrayBuffer());
      const { script, wrapped, ask } = setUp();
      script.answer(() =>
        jsonResponse(bodyOf([new Uint8Array(), gzip]), { 'content-encoding': 'gzip' }),
      );
      const got = await wrapped(request());
      expect(got.headers.get('content-encoding')).to.equal('gzip');
      expect(new Uint8Array(await got.arrayBuffer())).to.deep.equal(gzip);
      await settled();
      expect(await ask()).to.include({ text: answers.chat.json });
    });

    it('The fetch wrapper delivers chunks that are not bytes, stores nothing, and frees its budget', async () => {
      const rejected: unknown[] = [];
      const onRejected = (error: unknown) => void rejected.push(error);
      process.on('unhandledRejection', onRejected);
      try {
        const { script, wrapped, ask } = setUp({ bufferedBytes: 4096 });
        for (const body of [requestBody(), stream]) {
          for (const chunk of ['text', bytes(answers.chat.sse).buffer, 5, null, {}]) {
            script.answer(() => {
              const answer = bodyOf([chunk]);
              return 'stream' in body ? sseResponse(answer) : jsonResponse(answer);
            });
            const got = await wrapped(request({ body }));
            // Some platforms do take text.
            const [leader, joiner] = [got.body?.getReader(), ask({ body })];
            expect((await leader?.read())?.value).to.equal(chunk);
            await leader?.cancel();
            await joiner.catch(() => {});
            await settled();
          }
        }
        script.answer(() => jsonResponse('x'.repeat(5000)));
        await ask({ body: { model: 'large' } });
        await settled();
        const large = await ask({ body: { model: 'large', input: 'x'.repeat(5000) } });
        expect(large.headers['cache-status']).to.contain('buffer-limit');
        expect(rejected).to.deep.equal([]);
      } finally {
        process.off('unhandledRejection', onRejected);
      }
    });

    it('The fetch wrapper stores a copy of each Buffer, so that no client can change it for others', async () => {
      const { script, wrapped, ask } = setUp();
      script.answer(() => sseResponse(bodyOf(events.map((event) => Buffer.from(event)))));
      const leader = await wrapped(request({ body: stream }));
      for await (const chunk of leader.body ?? []) chunk.fill(0);
      await settled();
      expect(await ask({ body: stream })).to.include({ text: answers.chat.sse, broken: false });
    });

    it('The fetch wrapper answers with a stale entry if the handler fails after an empty chunk', async () => {
      const { script, ask } = setUp({ ttl: 1, staleIfError: 600 });
      await ask();
      await settled();
      const { now } = Date;
      Date.now = () => now() + 3000;
      try {
        const source = new Source();
        script.answer(() => {
          source.push('');
          void settled().then(() => source.break());
          return jsonResponse(source.body);
        });
        expect((await ask()).headers['x-cache']).to.equal('HIT (stale)');
      } finally {
        Date.now = now;
      }
    });

    it('The fetch wrapper records a handler that returns no response as a failure, not billed', async () => {
      const { script, ask, records } = setUp();
      for (const answer of [() => Response.error(), () => undefined as unknown as Response]) {
        script.answer(answer);
        expect(await ask().catch((error: unknown) => error)).to.be.instanceOf(Error);
      }
      await eventually(() => records.length === 2, 'the records');
      expect(records.map(({ status, billed }) => [status, billed])).to.deep.equal([
        [500, false],
        [500, false],
      ]);
    });
  });

  describe('A request', () => {
    it('The fetch wrapper gives the handler a request body that is not bytes as it is', async () => {
      const { ask } = setUp({ bufferedBytes: 4096 });
      const text = JSON.stringify(requestBody());
      const wrapped = withLlmCache(
        async (asked) => {
          const chunk: unknown = (await asked.body?.getReader().read())?.value;
          return jsonResponse(JSON.stringify({ is: typeof chunk, of: String(chunk) }));
        },
        { bufferedBytes: 4096 },
      );
      const got = await read(wrapped(request({ body: bodyOf([text]) })));
      expect(JSON.parse(got.text)).to.deep.equal({ is: 'string', of: text });
      expect(got.headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=not-json');
      expect((await ask()).text).to.equal(answers.chat.json);
    });
  });

  describe('A client', () => {
    it('The fetch wrapper breaks the answer of a joined client that aborts', async () => {
      const { script, wrapped, records } = setUp();
      const source = new Source();
      script.answer(() => sseResponse(source.body));
      const leader = read(wrapped(request({ body: stream })));
      await eventually(() => source.pulls > 0, 'it is read');
      const leaving = new AbortController();
      const joiner = wrapped(request({ body: stream, signal: leaving.signal }));
      await settled();
      source.push(events[0] ?? '');
      const got = read(joiner);
      await settled();
      leaving.abort();
      expect(await got).to.include({ text: events[0], broken: true });
      for (const event of events.slice(1)) source.push(event);
      source.end();
      expect((await leader).text).to.equal(answers.chat.sse);
      await eventually(() => records.length === 2, 'the records');
    });

    it('The fetch wrapper holds a bounded amount for a joined client that never reads', async () => {
      const { script, wrapped, ask } = setUp({ maxResponseBytes: 1000 });
      const source = new Source();
      script.answer(() => sseResponse(source.body));
      const leader = ask({ body: stream });
      await eventually(() => source.pulls > 0, 'it is read');
      const pending = wrapped(request({ body: stream }));
      await settled();
      source.push(events[0] ?? '');
      const joiner = await pending;
      for (let sent = 0; sent < 20; sent++) {
        source.push(`: ${'x'.repeat(50_000)}\n\n`);
        await settled();
      }
      source.end();
      expect((await leader).broken).to.equal(false);
      expect((await read(joiner)).broken).to.equal(true);
    });

    it('The fetch wrapper records 499 for a client that left before the head, though the call went on', async () => {
      const { script, wrapped, records, ask } = setUp({ finishOnDisconnect: true });
      const leaving = new AbortController();
      let answer: (response: Response) => void = () => {};
      script.answer(() => new Promise((resolve) => (answer = resolve)));
      const pending = wrapped(request({ signal: leaving.signal }));
      await eventually(() => script.requests.length === 1, 'the call');
      leaving.abort();
      await settled();
      answer(jsonResponse(answers.chat.json));
      await pending;
      await eventually(() => records.length === 1, 'the record');
      expect(records[0]).to.include({ status: 499, billed: true, total_tokens: 16 });
      await settled();
      expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
    });
  });

  describe('The platform', () => {
    const waits: Record<string, (promise: Promise<unknown>) => unknown> = {
      throws: () => {
        throw new Error('no');
      },
      rejects: () => Promise.reject(new Error('no')),
    };
    for (const [what, waitUntil] of Object.entries(waits)) {
      it(`The fetch wrapper fails no request when the platform's waitUntil ${what}`, async () => {
        const { ask, records } = setUp({ waitUntil });
        const said = await saidDuring(async () => {
          expect((await ask()).text).to.equal(answers.chat.json);
          await settled();
          expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
          await eventually(() => records.length === 2, 'the records');
        });
        expect(said.length).to.equal(1);
      });
    }
  });

  it('The fetch wrapper frees all buffers and records every request under random load', async () => {
    const bufferedBytes = 200_000;
    const promises: Promise<unknown>[] = [];
    const { script, wrapped, records, ask } = setUp({
      bufferedBytes,
      maxRequestBytes: 50_000,
      maxResponseBytes: 20_000,
      coalesceWaitMs: 30,
      waitUntil: (promise) => void promises.push(promise),
    });
    let seed = 7;
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647;
      return seed % below;
    };
    const pause = () => new Promise((resolve) => setTimeout(resolve, random(8)));
    const sources: (() => Response | Promise<Response>)[] = [
      () => jsonResponse(answers.chat.json),
      () => sseResponse(new Source(events).body),
      () => jsonResponse('{"error":{}}', {}, 500),
      () => jsonResponse('x'.repeat(30_000)),
      () => jsonResponse(answers.chat.json, { 'content-encoding': 'gzip, gzip' }),
      () => jsonResponse(bytes('not gzip'), { 'content-encoding': 'deflate' }),
      () => new Response(null, { status: 204 }),
      () => Response.error(),
      () => Response.redirect('http://elsewhere.test/'),
      () => {
        const used = jsonResponse('{}');
        void used.text();
        return used;
      },
      () => {
        const source = new Source();
        source.push(events[0] ?? '');
        void pause().then(() => source.break());
        return sseResponse(source.body);
      },
      () => {
        throw new Error('no');
      },
    ];
    script.answer(async () => {
      await pause();
      return (sources[random(sources.length)] as () => Response)();
    });
    const rejected: unknown[] = [];
    const onRejected = (error: unknown) => void rejected.push(error);
    process.on('unhandledRejection', onRejected);
    const requests = 600;
    const client = async () => {
      await pause();
      const leaving = new AbortController();
      const body = {
        model: `m${random(4)}`,
        stream: random(2) === 0,
        input: 'x'.repeat(random(9) * 7000),
      };
      const pending = wrapped(request({ body, signal: leaving.signal }));
      const way = random(4);
      if (way === 0) void pause().then(() => leaving.abort());
      const response = await pending;
      if (way === 1) return response.body?.cancel();
      if (way === 2) response.clone();
      await read(response);
    };
    try {
      const clients = Array.from({ length: requests }, () => client().catch(() => {}));
      await Promise.all(clients);
      await Promise.all(promises);
      await settled();
    } finally {
      process.off('unhandledRejection', onRejected);
    }
    expect([records.length, new Set(records.map(({ id }) => id)).size]).to.deep.equal([
      requests,
      requests,
    ]);
    expect(rejected).to.deep.equal([]);
    script.answer(() => jsonResponse(answers.chat.json));
    // All of the budget is there: four of them at once need nearly all.
    const large = await Promise.all(
      [1, 2, 3].map((one) => ask({ body: { model: `large ${one}`, input: 'x'.repeat(49_000) } })),
    );
    for (const { headers } of large)
      expect(headers['cache-status']).to.equal('llm-cache; fwd=miss');
  }).timeout(60_000);

  describe('A store', () => {
    it('The fetch wrapper takes garbage from a store for a fault, not for an answer', async () => {
      for (const garbage of [{}, 'text', 5, []]) {
        const store = new MapStore({ maxBytes: 100_000 });
        store.get = () => Promise.resolve(garbage as never);
        const { ask } = setUp({ store });
        const said = await saidDuring(async () => {
          for (const _ of [1, 2]) {
            const got = await ask();
            expect(got.text).to.equal(answers.chat.json);
            expect(got.headers['cache-status']).to.contain('store-error');
          }
        });
        expect(said.length).to.equal(1);
      }
    });

    it('The fetch wrapper serves no entry whose body a store has lost in JSON', async () => {
      const kept = new Map<string, string>();
      const store = new MapStore({ maxBytes: 100_000 });
      store.get = async (key) => {
        const text = kept.get(key);
        return text === undefined ? undefined : JSON.parse(text);
      };
      store.set = async (key, entry) => Boolean(kept.set(key, JSON.stringify(entry)));
      const { ask } = setUp({ store });
      await saidDuring(async () => {
        for (const _ of [1, 2]) {
          expect((await ask()).text).to.equal(answers.chat.json);
          await settled();
        }
      });
    });

    it('The fetch wrapper fails no request when a store throws, even behind an expired entry', async () => {
      const store = new MapStore({ maxBytes: 100_000 });
      const { ask, script } = setUp({ store, ttl: 1, staleIfError: 600 });
      await ask();
      await settled();
      store.used = () => {
        throw new Error('no');
      };
      const { now } = Date;
      await saidDuring(async () => {
        expect((await ask()).text).to.equal(answers.chat.json);
        Date.now = () => now() + 3000;
        try {
          script.answer(() => jsonResponse('{}', {}, 503));
          expect((await ask()).headers['x-cache']).to.equal('HIT (stale)');
          store.get = store.set = () => {
            throw new Error('no');
          };
          script.answer(() => jsonResponse(answers.chat.json));
          expect((await ask()).text).to.equal(answers.chat.json);
        } finally {
          Date.now = now;
        }
      });
    });
  });
});

function requestBody(): { readonly model: string } {
  return { model: 'gpt-4o' };
}
