import { hash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import Anthropic from '@anthropic-ai/sdk';
import { expect } from 'chai';
import OpenAI from 'openai';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { answers } from './answers.ts';
import { eventually } from './eventually.ts';
import { post, type Reply } from './http.ts';
import { coders, json, sse, type Upstream } from './upstream.ts';

/** A Node host with `debugHeaders` in front of a provider. */
export interface NodeDoor {
  readonly upstream: Upstream;
  /** The urls of a pipeline with defaults, and of one with `compressHits: off`. */
  readonly urls: { readonly auto: string; readonly off: string };
  records(model: string, count: number): Promise<readonly UsageRecord[]>;
  close(): Promise<void>;
}

type Headers = Readonly<Record<string, string>>;

/** Repeats the first matching event of a stream until the stream exceeds 64 KiB. */
export function longer(stream: string, matching: RegExp): string {
  const events = stream.split(/(?<=\n\n)/);
  const at = events.findIndex((event) => matching.test(event));
  const [event = ''] = events.splice(at, 1);
  events.splice(at, 0, event.repeat(Math.ceil((70 * 1024) / event.length)));
  return events.join('');
}

export const longChat = longer(answers.chat.sse, /"Hello"/);
const longMessages = longer(answers.messages.sse, /text_delta/);

const gzip = { 'accept-encoding': 'gzip, deflate' };

/** Defines the tests of `compressHits` that every Node host must pass. */
export function describeCompressedHits(where: string, open: () => Promise<NodeDoor>): void {
  describe(`Compressed hits, ${where}`, () => {
    let door: NodeDoor;
    let count = 0;

    before(async () => {
      door = await open();
    });
    after(() => door.close());

    const question = (more: object = { stream: true }) => ({ model: `model-${++count}`, ...more });
    const path = '/v1/chat/completions';
    const ask = (body: object, headers: Headers = {}, url = door.urls.auto) =>
      post(`${url}${path}`, body, { headers });

    /** Repeats a request until the hit is compressed. */
    async function compressed(body: object, headers: Headers = gzip): Promise<Reply> {
      let hit = await ask(body, headers);
      await eventually(async () => {
        hit = await ask(body, headers);
        return hit.headers['content-encoding'] !== undefined;
      }, 'the hit is compressed');
      return hit;
    }

    async function stored(more?: object): Promise<object> {
      const body = question(more);
      await ask(body);
      return body;
    }

    it(`The cache, ${where}, sends a long stream as stored, in gzip, to a client that accepts it, and it decodes byte for byte`, async () => {
      door.upstream.answer(sse(longChat));
      const body = await stored();
      const plain = await ask(body);
      const hit = await compressed(body);
      expect(gunzipSync(hit.body).equals(Buffer.from(longChat))).to.equal(true);
      expect(hit.body.length).to.be.below(longChat.length / 10);
      expect(hit.headers).to.include({
        'content-encoding': 'gzip',
        'content-length': String(hit.body.length),
        vary: 'Accept-Encoding',
        'x-cache': 'HIT (exact)',
        'x-cache-key': plain.headers['x-cache-key'],
      });
      expect(hit.headers['cache-status']).to.match(/^llm-cache; hit; ttl=\d+$/);
      expect(Object.keys(hit.headers)).to.have.members([
        ...Object.keys(plain.headers),
        'content-encoding',
      ]);
    });

    it(`The cache, ${where}, decodes a long stream for a client that does not accept gzip, or prefers another coding`, async () => {
      door.upstream.answer(sse(longChat));
      const body = await stored();
      await compressed(body);
      for (const accepted of [null, '', 'identity', 'br', 'gzip;q=0', 'identity, gzip;q=0.5']) {
        const hit = await ask(body, accepted === null ? {} : { 'accept-encoding': accepted });
        expect(hit.text === longChat, String(accepted)).to.equal(true);
        expect(hit.headers).to.include({ vary: 'Accept-Encoding', 'x-cache': 'HIT (exact)' });
        expect(hit.headers).to.not.have.any.keys('content-encoding');
      }
      await compressed(body, { 'accept-encoding': 'identity;q=0, *' });
    });

    it(`The cache, ${where}, compresses no hit if the client or the provider says no-transform`, async () => {
      door.upstream.answer(sse(longChat));
      const body = await stored();
      await compressed(body);
      const asked = await ask(body, { ...gzip, 'cache-control': 'No-Transform' });
      expect(asked.text === longChat).to.equal(true);

      const never = question();
      door.upstream.answer(sse(longChat, { 'cache-control': 'no-cache, no-transform' }));
      await ask(never);
      // Once a later entry is compressed, the earlier one would be too if it could.
      door.upstream.answer(sse(longChat));
      await compressed(await stored());
      const hit = await ask(never, gzip);
      expect(hit.text === longChat).to.equal(true);
      expect(hit.headers).to.include({ 'x-cache': 'HIT (exact)', 'cache-control': 'no-transform' });
      expect(hit.headers).to.not.have.any.keys('content-encoding', 'vary');
    });

    it(`The cache, ${where}, decodes hits that are short, and JSON that compresses little`, async () => {
      door.upstream.answer(sse(answers.chat.sse));
      const short = await stored();
      const noise = Array.from({ length: 2000 }, (_, at) => hash('sha256', `${at}`, 'base64'));
      const large = answers.chat.json.replace('Hello', noise.join(''));
      door.upstream.answer(json(large));
      const long = await stored({});
      door.upstream.answer(sse(longChat));
      await compressed(await stored());
      for (const [body, expected] of [
        [short, answers.chat.sse],
        [long, large],
      ] as const) {
        const hit = await ask(body, gzip);
        expect(hit.headers).to.include({ 'x-cache': 'HIT (exact)' });
        expect(hit.headers).to.not.have.any.keys('content-encoding');
        expect(hit.text === expected).to.equal(true);
      }
    });

    it(`The cache, ${where}, compresses no hit with compressHits: off`, async () => {
      door.upstream.answer(sse(longChat));
      const body = await stored();
      await ask(body, {}, door.urls.off);
      await compressed(body);
      const hit = await ask(body, gzip, door.urls.off);
      expect(hit.text === longChat).to.equal(true);
      expect(hit.headers).to.include({ 'x-cache': 'HIT (exact)' });
      expect(hit.headers).to.not.have.any.keys('content-encoding', 'vary');
    });

    it(`A compressed hit, ${where}, is the same whether or not the provider compressed its answer`, async () => {
      door.upstream.answer(sse(coders.gzip(longChat), { 'content-encoding': 'gzip' }));
      const body = await stored();
      expect(gunzipSync((await compressed(body)).body).toString() === longChat).to.equal(true);
      expect((await ask(body)).text === longChat).to.equal(true);
    });

    it(`The usage record of a hit, ${where}, is the same whatever the client accepts`, async () => {
      door.upstream.answer(sse(longChat));
      const body = question();
      await ask(body);
      let asked = 1;
      await eventually(async () => {
        asked++;
        return (await ask(body, gzip)).headers['content-encoding'] === 'gzip';
      }, 'the hit is compressed');
      await ask(body);
      const records = await door.records(body.model, asked + 1);
      const [first, second] = records.slice(-2).map((record) => {
        const { id: _, timestamp: _at, duration_ms: _ms, request_id: _request, ...rest } = record;
        return rest;
      });
      expect(first).to.deep.equal(second);
      expect(first).to.include({ cache_type: 'exact', billed: false, status: 200 });
      expect(first?.total_tokens).to.be.above(0);
    });

    it(`The cache, ${where}, leaves the answer to a HEAD request alone`, async () => {
      door.upstream.answer((_request, res) => void res.writeHead(204).end());
      const reply = await post(`${door.urls.auto}${path}`, '', { method: 'HEAD', headers: gzip });
      expect(reply.headers).to.not.have.any.keys('content-encoding', 'vary', 'x-cache');
    });

    it(`A compressed stream, ${where}, reaches the official clients event by event`, async () => {
      const all = async (stream: AsyncIterable<unknown>) => {
        const events = [];
        for await (const event of stream) events.push(event);
        return JSON.stringify(events);
      };
      const sees: (string | null)[] = [];
      const seen: typeof fetch = async (...args) => {
        const response = await fetch(...args);
        sees.push(response.headers.get('content-encoding'));
        return response;
      };
      const openai = new OpenAI({ apiKey: 'sk', baseURL: `${door.urls.auto}/v1`, fetch: seen });
      const anthropic = new Anthropic({ apiKey: 'sk', baseURL: door.urls.auto, fetch: seen });
      const messages = [{ role: 'user' as const, content: 'Hi!' }];
      const calls: [string, () => Promise<AsyncIterable<unknown>>][] = [
        [
          longChat,
          () => openai.chat.completions.create({ model: 'gpt-4o', messages, stream: true }),
        ],
        [
          longMessages,
          () => {
            const asked = { model: 'claude-opus-4-8', max_tokens: 9, messages, stream: true };
            return anthropic.messages.create(asked as typeof asked & { stream: true });
          },
        ],
      ];
      for (const [text, call] of calls) {
        door.upstream.answer(sse(text));
        const miss = await all(await call());
        await eventually(async () => {
          expect((await all(await call())) === miss).to.equal(true);
          return sees.at(-1) === 'gzip';
        }, 'the hit is compressed');
        expect(miss).to.contain('Hello');
      }
    });
  });
}
