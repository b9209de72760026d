import { expect } from 'chai';
import {
  ConfigurationError,
  type LlmCacheOptions,
  type UsageRecord,
  withLlmCache,
} from '../../../policies/hosts/fetch/index.ts';
import { MapStore } from '../../../policies/llm-cache/stores/map.ts';
import type { Store } from '../../../policies/llm-cache/stores/store.ts';
import { nodeDigest } from '../../../policies/hosts/node/digest.ts';
import { webDigest } from '../../../policies/hosts/fetch/digest.ts';
import { answers, requests } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import {
  type AskParts,
  type Got,
  jsonResponse,
  read,
  request,
  Script,
  Source,
  sseResponse,
} from '../../support/fetch.ts';

type Options = LlmCacheOptions;

const stream = { model: 'gpt-4o', stream: true };
const events = answers.chat.sse.split(/(?<=\n\n)/);
const joined = { 'x-cache': 'HIT (coalesced)', 'cache-status': 'llm-cache; fwd=miss; collapsed' };

/** Long enough for what is under way to come to rest. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A wrapped handler, its script and the records that it made. */
function setUp(options: Options = {}) {
  const script = new Script(() => jsonResponse(answers.chat.json));
  const records: UsageRecord[] = [];
  const record = (one: UsageRecord) => void records.push(one);
  const wrapped = withLlmCache(script.handler, { record, ...options });
  const ask = (parts: AskParts = {}) => read(wrapped(request(parts)));
  return { script, records, wrapped, ask };
}

const statusOf = ({ headers }: Got) => headers['cache-status'];

describe('withLlmCache', () => {
  for (const [name, { path, body }] of Object.entries(requests)) {
    const whole = answers[name as keyof typeof answers];
    it(`The fetch wrapper answers ${name} from the cache, byte for byte`, async () => {
      const { script, ask } = setUp();
      script.answer(() =>
        jsonResponse(whole.json, {
          'x-request-id': '1',
          'openai-model': 'm',
          'x-cache': 'HIT',
          age: '3',
        }),
      );
      const miss = await ask({ path, body });
      expect([miss.text, statusOf(miss)]).to.deep.equal([whole.json, 'llm-cache; fwd=miss']);
      expect(miss.headers).to.include({ 'x-request-id': '1' });
      expect(miss.headers).to.not.have.any.keys('x-cache', 'age');
      await settled();
      const hit = await ask({ path, body });
      expect([hit.text, hit.headers['x-cache']]).to.deep.equal([whole.json, 'HIT (exact)']);
      expect(hit.headers).to.include({
        age: '0',
        'cache-status': 'llm-cache; hit; ttl=3600',
        'content-type': 'application/json',
        'openai-model': 'm',
      });
      expect(hit.headers['content-length']).to.equal(String(whole.json.length));
      expect(hit.headers).to.not.have.property('x-request-id');
      expect(script.bodies).to.deep.equal([JSON.stringify(body)]);
    });

    if (!('sse' in whole)) continue;
    it(`The fetch wrapper answers a ${name} stream from the cache, byte for byte`, async () => {
      const { script, ask } = setUp();
      script.answer(() => sseResponse(new Source(whole.sse.split(/(?<=,)/)).body));
      // Gemini has the stream mode in its path.
      const streamPath = path.replace(':generateContent', ':streamGenerateContent?alt=sse');
      const asStream = { path: streamPath, body: { ...body, stream: true } };
      expect((await ask(asStream)).text).to.equal(whole.sse);
      await settled();
      const hit = await ask(asStream);
      expect([hit.text, hit.headers['x-cache']]).to.deep.equal([whole.sse, 'HIT (exact)']);
      expect(hit.headers['content-type']).to.equal('text/event-stream; charset=utf-8');
      expect(script.requests.length).to.equal(1);
    });
  }

  it('The fetch wrapper lets anything that it does not serve pass as it is', async () => {
    const answer = jsonResponse('{}', { 'x-cache': 'HIT', age: '1' });
    const asked: Request[] = [];
    const wrapped = withLlmCache((one: Request, more: string) => {
      asked.push(one);
      return more === 'more' ? answer : new Response();
    });
    for (const parts of [
      { path: '/v1/models' },
      { method: 'GET' },
      { path: '/v1/threads/1/messages' },
    ]) {
      const sent = request(parts);
      expect(await wrapped(sent, 'more')).to.equal(answer);
      expect(asked.at(-1)).to.equal(sent);
    }
  });

  it("The fetch wrapper gives the handler the request as it came, and the platform's further arguments", async () => {
    const { script, wrapped } = setUp();
    const context = { some: 'context' };
    let more: readonly unknown[] = [];
    script.answer((_asked, ...rest) => {
      more = rest;
      return jsonResponse(answers.chat.json);
    });
    const headers = { authorization: 'Bearer 1', 'x-own': 'yes' };
    await read(wrapped(request({ path: '/v1/chat/completions?a=b', headers }), 'env', context));
    expect(more).to.deep.equal(['env', context]);
    const [asked] = script.requests;
    expect([asked?.method, asked?.url]).to.deep.equal([
      'POST',
      'http://proxy.test/v1/chat/completions?a=b',
    ]);
    expect(Object.fromEntries(asked?.headers ?? [])).to.include({
      ...headers,
      'content-type': 'application/json',
    });
  });

  describe('Answers that are not stored', () => {
    const refused: Record<string, () => Response> = {
      'an error status': () => jsonResponse('{"error":{}}', {}, 500),
      'an error with status 200': () => jsonResponse('{"error":{}}'),
      'half a stream': () => sseResponse(events.slice(0, 2).join('')),
      'a filtered answer': () =>
        jsonResponse(answers.chat.json.replace('"stop"', '"content_filter"')),
      'another type': () =>
        new Response(answers.chat.json, { headers: { 'content-type': 'text/html' } }),
      'no body': () => new Response(null, { status: 204 }),
      'an empty body': () => jsonResponse(''),
    };
    for (const [what, answer] of Object.entries(refused)) {
      it(`The fetch wrapper does not store ${what}`, async () => {
        const { script, ask } = setUp();
        script.answer(answer);
        const expected = await read(answer());
        for (const _ of [1, 2, 3, 4]) {
          const got = await ask();
          expect([got.status, got.text]).to.deep.equal([expected.status, expected.text]);
          expect(statusOf(got)).to.equal('llm-cache; fwd=miss');
          await settled();
        }
        expect(script.requests.length).to.equal(4);
      });
    }

    it('The fetch wrapper does not store a stream that broke off, and ends it broken', async () => {
      const { script, ask } = setUp();
      const source = new Source();
      script.answer(() => sseResponse(source.body));
      const pending = ask({ body: stream });
      await eventually(() => source.pulls > 0, 'it is read');
      source.push(events[0] ?? '');
      await settled();
      source.break();
      expect(await pending).to.include({ text: events[0], broken: true });
      script.answer(() => sseResponse(answers.chat.sse));
      expect(statusOf(await ask({ body: stream }))).to.equal('llm-cache; fwd=miss');
    });

    it('The fetch wrapper delivers an answer that is too large whole, and does not store it', async () => {
      const { script, ask } = setUp({ maxResponseBytes: 100 });
      for (const _ of [1, 2]) expect((await ask()).text).to.equal(answers.chat.json);
      expect(script.requests.length).to.equal(2);
    });
  });

  it('The fetch wrapper throws what the handler throws, and works on afterwards', async () => {
    const { script, ask, records } = setUp();
    script.answer(() => {
      throw new TypeError('fetch failed');
    });
    for (const _ of [1, 2, 3]) {
      const error = await ask().catch((one: unknown) => one);
      expect(error).to.be.instanceOf(TypeError).and.to.have.property('message', 'fetch failed');
    }
    await settled();
    expect(records[0]).to.include({ status: 500, billed: false, total_tokens: null });
    script.answer(() => jsonResponse(answers.chat.json));
    expect((await ask()).text).to.equal(answers.chat.json);
    await settled();
    expect((await ask()).headers['x-cache']).to.equal('HIT (exact)');
  });

  it("The fetch wrapper obeys the client's cache headers, unless client controls are off", async () => {
    const { ask, script } = setUp({ debugHeaders: true });
    await ask();
    await settled();
    const rows: [Record<string, string>, string][] = [
      [{ 'cache-control': 'no-cache' }, 'llm-cache; fwd=request; detail=no-cache'],
      [{ 'cache-control': 'no-store' }, 'llm-cache; fwd=request; detail=no-store'],
      [{ 'x-cache-control': 'refresh' }, 'llm-cache; fwd=request; detail=refresh'],
      [{ 'cache-control': 'max-age=0' }, 'llm-cache; fwd=request; detail=max-age'],
      [{ 'x-cache-type': 'semantic' }, 'llm-cache; fwd=bypass; detail=layer-off'],
    ];
    for (const [headers, status] of rows) {
      const got = await ask({ headers });
      expect([statusOf(got), got.text]).to.deep.equal([status, answers.chat.json]);
      await settled();
    }
    expect(script.requests.length).to.equal(1 + rows.length);
    const hit = await ask({ headers: { 'cache-control': 'only-if-cached' } });
    expect(hit.headers['x-cache']).to.equal('HIT (exact)');
    expect(hit.headers['x-cache-key']).to.match(/^default:anonymous:[\w-]{43}$/);
    const none = await ask({
      body: { model: 'other' },
      headers: { 'cache-control': 'only-if-cached' },
    });
    expect([none.status, statusOf(none), JSON.parse(none.text).error.code]).to.deep.equal([
      504,
      'llm-cache; detail=only-if-cached',
      'only_if_cached',
    ]);
    expect(
      (await setUp({ clientControls: false }).ask({ headers: { 'cache-control': 'no-store' } }))
        .headers['cache-status'],
    ).to.equal('llm-cache; fwd=miss');
  });

  it('The fetch wrapper keeps credentials and consumers apart', async () => {
    const { ask } = setUp({
      consumer: (asked) => asked.headers.get('x-user') ?? undefined,
    });
    const states: string[] = [];
    for (const headers of [
      { authorization: 'Bearer 1' },
      { authorization: 'Bearer 2' },
      { authorization: 'Bearer 1' },
      { authorization: 'Bearer 1', 'x-user': 'ada' },
      { authorization: 'Bearer 2', 'x-user': 'ada' },
      { 'x-user': 'bob' },
      {},
    ] as Record<string, string>[]) {
      states.push((await ask({ headers })).headers['x-cache'] ?? 'miss');
      await settled();
    }
    expect(states).to.deep.equal([
      'miss',
      'miss',
      'HIT (exact)',
      'miss',
      'HIT (exact)',
      'miss',
      'miss',
    ]);
  });

  it('The fetch wrapper stands aside where it cannot tell who asks', async () => {
    const { ask, records } = setUp({
      scope: 'consumer',
      consumer: async (asked) => {
        if (asked.headers.has('x-bad')) throw new Error('no');
        return asked.headers.has('x-user') ? { sub: 'ada', iss: 'us' } : undefined;
      },
    });
    expect(statusOf(await ask())).to.equal('llm-cache; fwd=bypass; detail=no-scope');
    expect(statusOf(await ask({ headers: { 'x-user': '1' } }))).to.equal('llm-cache; fwd=miss');
    const { error } = console;
    console.error = () => {};
    try {
      expect(statusOf(await ask({ headers: { 'x-bad': '1' } }))).to.equal(
        'llm-cache; fwd=bypass; detail=store-error',
      );
    } finally {
      console.error = error;
    }
    await eventually(() => records.length === 3, 'records');
    expect(records.map((one) => one.consumer_id === null)).to.deep.equal([true, false, true]);
  });

  describe('Identical requests at the same time', () => {
    it('The fetch wrapper makes one call for identical requests, and a joined one gets each byte as it comes', async () => {
      const { script, wrapped, records } = setUp();
      const source = new Source();
      script.answer(() => sseResponse(source.body));
      const leader = await wrapped(request({ body: stream }));
      const led = read(leader);
      source.push(events[0] ?? '');
      source.push(events[1] ?? '');
      await settled();
      const joiner = await wrapped(request({ body: stream }));
      expect(Object.fromEntries(joiner.headers)).to.include(joined);
      const reader = joiner.body?.getReader();
      const next = async () => new TextDecoder().decode((await reader?.read())?.value);
      expect(await next()).to.equal(events[0]);
      expect(await next()).to.equal(events[1]);
      for (const event of events.slice(2)) {
        source.push(event);
        expect(await next()).to.equal(event);
      }
      source.end();
      expect((await reader?.read())?.done).to.equal(true);
      expect((await led).text).to.equal(answers.chat.sse);
      expect(script.requests.length).to.equal(1);
      await eventually(() => records.length === 2, 'both records');
      const [one, other] = records.toSorted((a) => (a.billed ? -1 : 1));
      expect(one).to.include({ cache_type: null, billed: true, total_tokens: 16, stream: true });
      expect(other).to.include({
        cache_type: 'coalesced',
        billed: false,
        total_tokens: 16,
        provider_id: 'chatcmpl-stream',
      });
    });

    it('The fetch wrapper serves a JSON answer to joined requests though the first does not read it', async () => {
      const { script, wrapped, ask } = setUp();
      const source = new Source(answers.chat.json.split(/(?<=,)/));
      script.answer(() => jsonResponse(source.body));
      const leader = await wrapped(request());
      const others = await Promise.all([ask(), ask(), ask()]);
      for (const other of others) {
        expect(other.text).to.equal(answers.chat.json);
        expect(other.headers).to.include(joined);
      }
      expect((await read(leader)).text).to.equal(answers.chat.json);
      expect(script.requests.length).to.equal(1);
    });

    it('The fetch wrapper shares no failure between identical requests', async () => {
      const { script, ask } = setUp();
      let calls = 0;
      script.answer(async () => {
        calls++;
        await settled();
        if (calls === 1) throw new Error('no');
        return jsonResponse(answers.chat.json);
      });
      const all = [ask().catch(() => null), ask(), ask()];
      const [failed, ...rest] = await Promise.all(all);
      expect(failed).to.equal(null);
      for (const one of rest) expect(one?.text).to.equal(answers.chat.json);
      expect(calls).to.equal(2);
    });

    for (const how of ['cancels', 'aborts'] as const) {
      it(`The fetch wrapper goes on with a call when its first client ${how}, and stores the answer`, async () => {
        const { script, wrapped, ask, records } = setUp();
        const source = new Source();
        script.answer(() => sseResponse(source.body));
        const client = new AbortController();
        const leader = await wrapped(request({ body: stream, signal: client.signal }));
        const other = ask({ body: stream });
        await settled();
        source.push(events[0] ?? '');
        if (how === 'cancels') await leader.body?.cancel();
        else client.abort();
        await settled();
        expect([source.cancelled, script.requests[0]?.signal.aborted]).to.deep.equal([
          false,
          false,
        ]);
        for (const event of events.slice(1)) source.push(event);
        source.end();
        expect((await other).text).to.equal(answers.chat.sse);
        await settled();
        expect((await ask({ body: stream })).headers['x-cache']).to.equal('HIT (exact)');
        expect(records.find((one) => one.cache_type === null)).to.include({
          billed: true,
          total_tokens: 16,
          status: 200,
        });
      });

      it(`The fetch wrapper ends a call when its last client ${how}`, async () => {
        const { script, wrapped, ask } = setUp();
        const source = new Source();
        script.answer(() => sseResponse(source.body));
        const client = new AbortController();
        const leader = await wrapped(request({ body: stream }));
        source.push(events[0] ?? '');
        const other = await wrapped(request({ body: stream, signal: client.signal }));
        await leader.body?.cancel();
        expect(source.cancelled).to.equal(false);
        if (how === 'cancels') await other.body?.cancel();
        else client.abort();
        await eventually(() => source.cancelled, 'the call ends');
        expect(script.requests[0]?.signal.aborted).to.equal(true);
        script.answer(() => sseResponse(answers.chat.sse));
        expect(statusOf(await ask({ body: stream }))).to.equal('llm-cache; fwd=miss');
      });
    }

    it('The fetch wrapper ends a call without an answer when its last client leaves', async () => {
      const { script, wrapped, ask, records } = setUp();
      script.answer(
        (asked) =>
          new Promise((_resolve, reject) => {
            asked.signal.addEventListener('abort', () => reject(new Error('aborted')));
          }),
      );
      const client = new AbortController();
      const leader = wrapped(request({ signal: client.signal }));
      const other = new AbortController();
      await eventually(() => script.requests.length === 1, 'the call');
      const joiner = wrapped(request({ signal: other.signal }));
      await settled();
      client.abort();
      await settled();
      expect(script.requests[0]?.signal.aborted).to.equal(false);
      other.abort();
      expect((await joiner).status).to.equal(499);
      expect((await leader).status).to.equal(499);
      await eventually(() => records.length === 2, 'the records');
      for (const one of records) expect(one).to.include({ status: 499, billed: false });
      script.answer(() => jsonResponse(answers.chat.json));
      expect((await ask()).text).to.equal(answers.chat.json);
    });

    it('The fetch wrapper finishes a call without any client with finishOnDisconnect', async () => {
      const { script, wrapped, ask } = setUp({ finishOnDisconnect: true });
      const source = new Source();
      script.answer(() => sseResponse(source.body));
      const leader = await wrapped(request({ body: stream }));
      await leader.body?.cancel();
      for (const event of events) source.push(event);
      source.end();
      await settled();
      expect(source.cancelled).to.equal(false);
      expect((await ask({ body: stream })).headers['x-cache']).to.equal('HIT (exact)');
    });
  });

  describe('Back pressure', () => {
    const chunks = Array.from({ length: 100 }, () => events[1] ?? '');

    it('The fetch wrapper reads no faster than its client', async () => {
      const { script, wrapped } = setUp();
      const source = new Source(chunks);
      script.answer(() => sseResponse(source.body));
      const response = await wrapped(request({ body: stream }));
      await settled();
      expect(source.pulls).to.equal(0);
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.read();
      await settled();
      expect(source.pulls).to.be.within(2, 3);
      await reader?.cancel();
      expect(source.cancelled).to.equal(true);
    });

    it('The fetch wrapper reads ahead for a joined client, and breaks off one that is too far behind', async () => {
      const large = ['data: {"x":"', 'x'.repeat(1000), '"}\n\n'].join('');
      const { script, wrapped } = setUp({ maxResponseBytes: 50_000 });
      const source = new Source([events[0] ?? '', ...Array.from({ length: 40 }, () => large)]);
      script.answer(() => sseResponse(source.body));
      const leader = await wrapped(request({ body: stream }));
      const other = await read(wrapped(request({ body: stream })));
      expect(other.text.length).to.be.greaterThan(40_000);
      expect((await read(leader)).text).to.equal(other.text);

      const slow = setUp({ maxResponseBytes: 50_000 });
      const long = new Source([events[0] ?? '', ...Array.from({ length: 200 }, () => large)]);
      slow.script.answer(() => sseResponse(long.body));
      const behind = await slow.wrapped(request({ body: stream }));
      const ahead = await slow.wrapped(request({ body: stream }));
      const all = await read(ahead);
      expect([all.broken, all.text.length > 200_000]).to.deep.equal([false, true]);
      expect((await read(behind)).broken).to.equal(true);
    });
  });

  describe('staleIfError', () => {
    /** A wrapped handler whose stored answer has expired. */
    async function expired(more: Options = {}, body: object = requests.chat.body) {
      const test = setUp({ ttl: 1, staleIfError: 600, ...more });
      test.script.answer(() =>
        'stream' in body ? sseResponse(answers.chat.sse) : jsonResponse(answers.chat.json),
      );
      await test.ask({ body });
      await settled();
      const { now } = Date;
      Date.now = () => now() + 3000;
      return { ...test, restore: () => void (Date.now = now) };
    }
    const failures: Record<string, [() => Response, number | null]> = {
      'says 503': [() => jsonResponse('{}', { 'retry-after': '1' }, 503), 503],
      'says 429': [() => jsonResponse('{}', {}, 429), 429],
      throws: [
        () => {
          throw new Error('no');
        },
        null,
      ],
      'breaks off before the first byte': [
        () => {
          const source = new Source();
          queueMicrotask(() => source.break());
          return jsonResponse(source.body);
        },
        null,
      ],
    };
    for (const [what, [answer, status]] of Object.entries(failures)) {
      it(`The fetch wrapper answers from an expired entry when the handler ${what}`, async () => {
        const { script, ask, records, restore } = await expired();
        try {
          script.answer(answer);
          const got = await ask();
          expect([got.status, got.text, got.headers['x-cache']]).to.deep.equal([
            200,
            answers.chat.json,
            'HIT (stale)',
          ]);
          const said = status === null ? '' : ` fwd-status=${status};`;
          expect(statusOf(got)).to.match(
            new RegExp(`^llm-cache; fwd=stale;${said} ttl=-\\d; detail=stale-if-error$`),
          );
          expect(got.headers['age']).to.match(/^[34]$/);
          await eventually(() => records.length === 2, 'the record');
          expect(records[1]).to.include({
            cache_type: 'stale',
            billed: false,
            status: 200,
            total_tokens: 16,
          });
        } finally {
          restore();
        }
      });
    }

    it('The fetch wrapper passes on a 400 and a fresh answer in place of an expired entry', async () => {
      const { script, ask, restore } = await expired({}, stream);
      try {
        script.answer(() => jsonResponse('{"error":{}}', {}, 400));
        const refused = await ask({ body: stream });
        expect([refused.status, statusOf(refused)]).to.deep.equal([400, 'llm-cache; fwd=stale']);
        script.answer(() => sseResponse(new Source(events).body));
        const fresh = await ask({ body: stream });
        expect([fresh.text, statusOf(fresh)]).to.deep.equal([
          answers.chat.sse,
          'llm-cache; fwd=stale',
        ]);
      } finally {
        restore();
      }
    });
  });

  it('The fetch wrapper streams a request that is too large past the cache', async () => {
    const { script, ask, wrapped } = setUp({ maxRequestBytes: 1000 });
    const parts = ['{"model":"gpt-4o","input":"', 'x'.repeat(900), 'y'.repeat(900), '"}'];
    for (const _ of [1, 2]) {
      const got = await ask({ body: new Source(parts).body });
      expect(statusOf(got)).to.equal('llm-cache; fwd=bypass; detail=request-too-large');
    }
    expect(script.bodies).to.deep.equal([parts.join(''), parts.join('')]);
    const source = new Source(parts);
    const declared = request({ body: source.body, headers: { 'content-length': '1829' } });
    script.answer((asked) => new Response(String(asked === declared)));
    expect((await read(wrapped(declared))).text).to.equal('true');
  });

  it('The fetch wrapper keys a gzip request by its content, and gives it to the handler as it came', async () => {
    const { script, records } = setUp();
    const forwarded: Uint8Array[] = [];
    const wrapped = withLlmCache(
      async (asked) => {
        forwarded.push(new Uint8Array(await asked.arrayBuffer()));
        return jsonResponse(answers.chat.json);
      },
      { record: (one) => void records.push(one) },
    );
    const text = JSON.stringify({ ...requests.chat.body, user: 'ü'.repeat(1000) });
    const packing = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'));
    const packed = new Uint8Array(await new Response(packing).arrayBuffer());
    const ask = (bytes: Uint8Array<ArrayBuffer>, coding: string) =>
      read(
        wrapped(
          request({ body: new Blob([bytes]).stream(), headers: { 'content-encoding': coding } }),
        ),
      );
    expect(statusOf(await ask(packed, 'gzip'))).to.equal('llm-cache; fwd=miss');
    expect(forwarded).to.deep.equal([packed]);
    await settled();
    expect((await ask(packed, 'gzip')).headers['x-cache']).to.equal('HIT (exact)');
    expect((await read(wrapped(request({ body: text })))).headers['x-cache']).to.equal(
      'HIT (exact)',
    );
    for (const [bytes, coding] of [
      [packed, 'nothing'],
      [new TextEncoder().encode(text), 'gzip'],
      [packed.slice(0, -9), 'gzip'],
    ] as const) {
      expect(statusOf(await ask(bytes, coding))).to.equal('llm-cache; fwd=bypass; detail=encoding');
      expect(forwarded.at(-1)).to.deep.equal(bytes);
    }
    await eventually(() => records.length === 6, 'the records');
    expect(records.slice(0, 3).map((one) => one.requested_model)).to.deep.equal(
      Array(3).fill(requests.chat.body.model),
    );
    expect(script.requests).to.deep.equal([]);
  });

  it('The fetch wrapper holds a body of single bytes in few pieces, and lets other work go on', async () => {
    const { script, ask } = setUp({ bufferedBytes: 2_000_000 });
    const text = JSON.stringify({ ...requests.chat.body, user: 'x'.repeat(100_000) });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const bytes = new TextEncoder().encode(text);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    expect(statusOf(await ask({ body }))).to.equal('llm-cache; fwd=miss');
    clearInterval(timer);
    expect(turns).to.be.above(5);
    expect(script.bodies[0] === text).to.equal(true);
  });

  it('The fetch wrapper stands aside when the bodies held at once would be too many', async () => {
    const { ask, script } = setUp({ bufferedBytes: 40 });
    expect(statusOf(await ask())).to.equal('llm-cache; fwd=bypass; detail=buffer-limit');
    expect(script.bodies).to.deep.equal([JSON.stringify(requests.chat.body)]);
    const small = setUp({ bufferedBytes: 200 });
    for (const _ of [1, 2, 3, 4]) {
      expect(statusOf(await small.ask())).to.equal('llm-cache; fwd=miss');
      await settled();
    }
  });

  it('The fetch wrapper stands aside for a body that was read before, and for one that is not JSON', async () => {
    const { wrapped, script } = setUp();
    const read1 = request();
    await read1.text();
    script.answer(() => jsonResponse('{}'));
    const wrappedLenient = withLlmCache(() => jsonResponse('{}'));
    expect(statusOf(await read(wrappedLenient(read1)))).to.equal(
      'llm-cache; fwd=bypass; detail=not-json',
    );
    expect(statusOf(await read(wrapped(request({ body: 'no json' }))))).to.equal(
      'llm-cache; fwd=bypass; detail=not-json',
    );
    expect(script.bodies).to.deep.equal(['no json']);
  });

  describe('A compressed answer', () => {
    const gzip = async (text: string) => {
      const packed = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'));
      return new Uint8Array(await new Response(packed).arrayBuffer());
    };

    it('The fetch wrapper drops the coding of an answer that fetch() has already decoded', async () => {
      const { script, ask } = setUp();
      for (const [coding, body] of [
        ['gzip', 1],
        ['br', 2],
        ['zstd, gzip', 3],
      ] as const) {
        script.answer(() =>
          jsonResponse(answers.chat.json, { 'content-encoding': coding, 'content-length': '99' }),
        );
        const asked = { body: { model: String(body) } };
        const miss = await ask(asked);
        expect(miss.text).to.equal(answers.chat.json);
        expect(miss.headers).to.not.have.any.keys('content-encoding', 'content-length');
        await settled();
        const hit = await ask(asked);
        expect([hit.text, hit.headers['x-cache']]).to.deep.equal([
          answers.chat.json,
          'HIT (exact)',
        ]);
      }
    });

    it('The fetch wrapper passes on a compressed answer as it is, and stores it decoded', async () => {
      const { script, wrapped, ask, records } = setUp();
      const packed = await gzip(answers.chat.sse);
      script.answer(() => sseResponse(packed, { 'content-encoding': 'gzip' }));
      const miss = await wrapped(request({ body: stream }));
      expect(miss.headers.get('content-encoding')).to.equal('gzip');
      expect(new Uint8Array(await miss.arrayBuffer())).to.deep.equal(packed);
      await eventually(() => records.length === 1, 'the record');
      expect(records[0]).to.include({ total_tokens: 16, billed: true });
      await settled();
      const hit = await ask({ body: stream });
      expect([hit.text, hit.headers['x-cache']]).to.deep.equal([answers.chat.sse, 'HIT (exact)']);
      expect(hit.headers).to.not.have.property('content-encoding');
    });

    it('The fetch wrapper does not store a compressed answer that is cut off or cannot be decoded', async () => {
      const { script, wrapped } = setUp();
      const packed = await gzip(answers.chat.json);
      const rows = [
        [packed.subarray(0, 100), 'gzip'],
        [packed, 'unheard-of'],
        [packed, 'gzip, gzip'],
      ] as const;
      for (const [bytes, coding] of rows) {
        script.answer(() => jsonResponse(bytes, { 'content-encoding': coding }));
        for (const _ of [1, 2]) {
          const got = await wrapped(request());
          expect(got.headers.get('cache-status')).to.equal('llm-cache; fwd=miss');
          expect(got.headers.get('content-encoding')).to.equal(coding);
          expect(new Uint8Array(await got.arrayBuffer())).to.deep.equal(bytes);
          await settled();
        }
      }
    });
  });

  describe('waitUntil', () => {
    /** A store that takes its time. */
    const slowStore = () => {
      const inner = new MapStore({ maxBytes: 1_000_000 });
      const store: Store = Object.create(inner, {
        set: {
          value: async (...args: Parameters<Store['set']>) => {
            await settled();
            return inner.set(...args);
          },
        },
        get: { value: (key: string) => inner.get(key) },
        used: { value: (...args: Parameters<Store['used']>) => inner.used(...args) },
      }) as Store;
      return { inner, store };
    };

    const ways: Record<string, (context: object) => readonly unknown[]> = {
      'the third argument': (context) => [{}, context],
      'the second argument': (context) => [context],
    };
    for (const [where, args] of Object.entries(ways)) {
      it(`The fetch wrapper keeps the platform by waitUntil of ${where} until all is stored and recorded`, async () => {
        const { inner, store } = slowStore();
        let recorded = false;
        const { wrapped } = setUp({
          store,
          record: async () => {
            await settled();
            recorded = true;
          },
        });
        class Context {
          readonly promises: Promise<unknown>[] = [];
          waitUntil(promise: Promise<unknown>): void {
            this.promises.push(promise);
          }
        }
        const context = new Context();
        await read(wrapped(request(), ...args(context)));
        expect(inner.stats().entries).to.equal(0);
        expect(context.promises.length).to.equal(1);
        await Promise.all(context.promises);
        expect([inner.stats().entries, recorded]).to.deep.equal([1, true]);
      });
    }

    it("The fetch wrapper prefers the options' waitUntil to the platform's, and needs none", async () => {
      const promises: Promise<unknown>[] = [];
      const { wrapped } = setUp({ waitUntil: (promise) => void promises.push(promise) });
      const context = {
        waitUntil: () => {
          throw new Error('not this one');
        },
      };
      await read(wrapped(request(), context));
      await Promise.all(promises);
      expect(promises.length).to.equal(1);
      const bare = withLlmCache(() => jsonResponse(answers.chat.json));
      await read(bare(request()));
    });
  });

  it('The fetch wrapper records a call and a hit with their tokens and costs', async () => {
    const { ask, records } = setUp({
      namespace: 'team',
      provider: 'mine',
      prices: { 'gpt-4o': { input: 2, cachedInput: 1, output: 10 } },
      consumer: () => ({ id: 'ada' }),
    });
    await ask({ path: '/v1/chat/completions?key=secret' });
    await settled();
    await ask({ path: '/v1/chat/completions?key=secret' });
    await eventually(() => records.length === 2, 'two records');
    const costs = {
      input_cost: (7 * 2 + 4) / 1e6,
      output_cost: 50 / 1e6,
      costs_calculation_caveat: null,
    };
    const [real, synthetic] = records;
    const both = {
      provider_id: 'chatcmpl-json',
      provider: 'mine',
      model: 'gpt-4o-2024-08-06',
      requested_model: 'gpt-4o',
      endpoint: '/v1/chat/completions',
      api_endpoint: 'team',
      consumer_id: 'ada',
      request_id: null,
      stream: false,
      status: 200,
      input_tokens: 11,
      output_tokens: 5,
      total_tokens: 16,
      ...costs,
    };
    expect(real).to.include({ ...both, cache_type: null, billed: true });
    expect(synthetic).to.include({ ...both, cache_type: 'exact', billed: false });
    expect(real?.raw_data).to.deep.equal({ cached_tokens: 4 });
    expect(real?.id).to.not.equal(synthetic?.id);
    expect(Object.keys(real ?? {})).to.deep.equal(Object.keys(synthetic ?? {}));
  });

  it('The fetch wrapper records requests that bypass the cache, and errors', async () => {
    const { script, ask, records } = setUp();
    await ask({ headers: { 'cache-control': 'no-store' } });
    script.answer(() => sseResponse(new Source(events).body));
    await ask({ body: stream, headers: { 'cache-control': 'no-store' } });
    script.answer(() => jsonResponse('{"error":{}}', {}, 401));
    await ask();
    await eventually(() => records.length === 3, 'three records');
    expect(records[0]).to.include({ billed: true, total_tokens: 16, cache_type: null });
    expect(records[1]).to.include({ billed: true, total_tokens: 16, stream: true });
    expect(records[2]).to.include({
      billed: false,
      status: 401,
      total_tokens: null,
      costs_calculation_caveat: 'nothing was billed',
    });
  });

  it('The fetch wrapper survives a record function and a store that fail', async () => {
    const said: unknown[] = [];
    const { error } = console;
    console.error = (text: unknown) => void said.push(text);
    try {
      const broken = new MapStore({ maxBytes: 10_000 });
      broken.get = () => Promise.reject(new Error('a prompt, maybe'));
      const { ask } = setUp({ store: broken, record: () => Promise.reject(new Error('no')) });
      const got = await ask();
      expect([got.text, statusOf(got)]).to.deep.equal([
        answers.chat.json,
        'llm-cache; fwd=bypass; detail=store-error',
      ]);
      await eventually(() => said.length === 2, 'both are said');
      expect(said.join()).to.not.contain('prompt');
    } finally {
      console.error = error;
    }
  });

  it('The fetch wrapper shares the entries of a given store only under the same secret', async () => {
    const store = new MapStore({ maxBytes: 100_000 });
    const headers = { authorization: 'Bearer 1' };
    const states: (string | undefined)[] = [];
    for (const scopeSecret of ['one', 'one', 'two', undefined]) {
      const { ask } = setUp({ store, ...(scopeSecret === undefined ? {} : { scopeSecret }) });
      states.push((await ask({ headers })).headers['x-cache']);
      await settled();
    }
    expect(states).to.deep.equal([undefined, 'HIT (exact)', undefined, undefined]);
  });

  describe('Wrong options', () => {
    const rows: [object, string][] = [
      [{ ttl: 0 }, 'withLlmCache: "ttl" must be at least 1, got 0'],
      [{ tll: 5 }, 'withLlmCache: unknown parameter "tll", expected one of ttl, '],
      [{ scope: 'all' }, '"scope" must be one of auto, consumer, credential, shared, got "all"'],
      [null as never, 'withLlmCache: the options must be an object, got null'],
      [{ record: 5 }, '"record" must be a function'],
      [{ store: 'memory' }, '"store" must be a store'],
      [{ prices: { a: {} } }, '"prices.a.input" is missing'],
      [{ scopeSecret: '' }, '"scopeSecret" must not be empty'],
    ];
    for (const [options, message] of rows) {
      it(`The fetch wrapper rejects the options ${JSON.stringify(options)}`, () => {
        expect(() => withLlmCache(() => new Response(), options as Options)).to.throw(
          ConfigurationError,
          message,
        );
      });
    }
  });

  it('The fetch wrapper rejects a handler that is not a function, such as an app instead of its fetch', () => {
    expect(() => withLlmCache({ fetch: () => new Response() } as never)).to.throw(
      ConfigurationError,
      'withLlmCache: the handler must be a function, got object',
    );
  });

  it('The fetch wrapper makes the same digests as the gateway', () => {
    for (const text of ['', 'a', 'ü😀\ud800', 'x'.repeat(1000)]) {
      for (const secret of ['s', 'ü'.repeat(100)]) {
        expect(webDigest(secret).sha256(text)).to.equal(nodeDigest(secret).sha256(text));
        expect(webDigest(secret).hmac(text)).to.equal(nodeDigest(secret).hmac(text));
      }
    }
    const own = webDigest(null);
    expect(own.hmac('a')).to.equal(own.hmac('a')).and.to.not.equal(webDigest(null).hmac('a'));
  });
});
