import { once } from 'node:events';
import { createServer, type IncomingMessage, request as open, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect } from 'chai';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { ByteBudget, ClientAccount } from '../../../policies/shared/bytes/budget.ts';
import { offerBody, readBody } from '../../../policies/hosts/gateway/body.ts';
import type { HeldBody } from '../../../policies/hosts/node/body.ts';
import type { GatewayRequest } from '../../../policies/hosts/gateway/types.ts';
import { eventually } from '../../support/eventually.ts';
import { now } from '../../support/llm-request.ts';

const text = '{"model":"gpt-4o","messages":[{"role":"user","content":"Grüße 🎈"}]}';
const bytes = Buffer.from(text);

type Incoming = GatewayRequest & PassThrough;

/** A request whose body the test writes. */
function incoming(headers: Readonly<Record<string, string>> = {}): Incoming {
  const parts = { method: 'POST', originalUrl: '/', headers, egContext: {} };
  return Object.assign(new PassThrough(), parts) as unknown as Incoming;
}

/** A request that is there as a whole; `length` as the client declares it. */
function whole(body: Uint8Array, length: number | null = body.length): Incoming {
  const req = incoming(length === null ? {} : { 'content-length': String(length) });
  req.end(body);
  return req;
}

/** What the proxy policy would send. */
function forwarded(req: GatewayRequest): Promise<Buffer> {
  const body = req.egContext.requestStream ?? req;
  return buffer(body.pipe(new PassThrough()));
}

function held(outcome: HeldBody | string): HeldBody {
  if (typeof outcome === 'string') return expect.fail(`not read: ${outcome}`);
  return outcome;
}

const textOf = ({ body }: HeldBody) => Buffer.concat(body.chunks).toString();
const problemOf = ({ body }: HeldBody) => now(body.content).problem;

/** What `promise` comes to by itself, without anything more happening. */
async function soon<T>(promise: Promise<T>): Promise<T | 'pending'> {
  const turns = async (): Promise<'pending'> => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    return 'pending';
  };
  return Promise.race([promise, turns()]);
}

describe('The reader of a request body', () => {
  let budget: ByteBudget;

  let over: (() => void)[];

  beforeEach(() => {
    budget = new ByteBudget(1_000_000);
    over = [];
  });

  /** Reads it, and gives it on. */
  const read = async (req: GatewayRequest, maxBytes = 100_000) => {
    const account = new ClientAccount(budget, []);
    const outcome = await readBody(req, { maxBytes, account, whenOver: (then) => over.push(then) });
    if (typeof outcome !== 'string') offerBody(req, outcome.body);
    return outcome;
  };

  describe('A body that can be held', () => {
    it('The body reader reads a body whole, and offers it again as it came', async () => {
      const req = whole(bytes);
      const outcome = held(await read(req));
      expect(textOf(outcome)).to.equal(text);
      expect(problemOf(outcome)).to.equal(null);
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
    });

    for (const declared of [true, false]) {
      it(`The body reader joins pieces that cut characters in two, ${declared ? 'declared' : 'chunked'}`, async () => {
        const req = incoming(declared ? { 'content-length': String(bytes.length) } : {});
        const reading = read(req);
        for (const byte of bytes) req.write(Buffer.of(byte));
        req.end();
        expect(textOf(held(await reading))).to.equal(text);
        expect((await forwarded(req)).equals(bytes)).to.equal(true);
      });
    }

    it('The body reader accepts an empty body, declared or not', async () => {
      for (const length of [0, null]) {
        const req = whole(new Uint8Array(), length);
        const outcome = held(await read(req));
        expect(outcome.body.length).to.equal(0);
        expect(problemOf(outcome)).to.equal('not-json');
        expect(await forwarded(req)).to.have.length(0);
      }
    });

    it('The body reader accepts a body of the maximum size, to the byte', async () => {
      for (const length of [bytes.length, null]) {
        expect(textOf(held(await read(whole(bytes, length), bytes.length)))).to.equal(text);
      }
    });

    it('The body reader forwards bytes that are not JSON as they came', async () => {
      const odd = Buffer.from([0xff, 0xfe, 0x00, 0x0d, 0x0a]);
      const req = whole(odd);
      expect(problemOf(held(await read(req)))).to.equal('not-utf8');
      expect((await forwarded(req)).equals(odd)).to.equal(true);
    });
  });

  describe('A body that an earlier policy has rewritten', () => {
    /** As request-transformer leaves it: the stream never ends. */
    function rewritten(): Incoming {
      const req = incoming({ 'content-length': String(bytes.length) });
      req.end('what the client sent');
      const stream = new PassThrough();
      stream.write(bytes);
      (req.egContext as { requestStream?: Readable }).requestStream = stream;
      return req;
    }

    it('The body reader reads a rewritten body up to its declared length, because its stream never ends', async () => {
      const req = rewritten();
      expect(textOf(held(await read(req)))).to.equal(text);
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
    });

    it('The body reader leaves a rewritten body as it is when it is declared too large', async () => {
      const req = rewritten();
      const before = req.egContext.requestStream;
      expect(await read(req, bytes.length - 1)).to.equal('request-too-large');
      expect(req.egContext.requestStream).to.equal(before);
    });

    it('The body reader can read a body again that a later policy has rewritten', async () => {
      const req = whole(Buffer.from('{"a":1}'));
      held(await read(req));
      req.headers['content-length'] = '7';
      req.egContext.requestStream = new PassThrough();
      (req.egContext.requestStream as PassThrough).write('{"a":2}');
      expect(textOf(held(await read(req)))).to.equal('{"a":2}');
    });
  });

  describe('A body that is too large', () => {
    it('The body reader does not touch a body that is declared too large', async () => {
      const req = whole(bytes);
      expect(await read(req, bytes.length - 1)).to.equal('request-too-large');
      expect(req.egContext.requestStream).to.equal(undefined);
      expect(req.body).to.equal(undefined);
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
    });

    it('The body reader passes on, byte for byte, a body that turns out too large on the way', async () => {
      const req = incoming();
      const reading = read(req, 1000);
      const pieces = Array.from({ length: 40 }, (_, at) => Buffer.alloc(20_000 + at, at));
      req.write(pieces[0]);
      expect(await reading).to.equal('request-too-large');
      const arriving = forwarded(req);
      for (const piece of pieces.slice(1)) req.write(piece);
      req.end();
      expect((await arriving).equals(Buffer.concat(pieces))).to.equal(true);
    });

    it('The body reader passes on the bytes that came before the one too much', async () => {
      const req = incoming();
      const reading = read(req, bytes.length - 1);
      req.write(bytes.subarray(0, 10));
      req.write(bytes.subarray(10, 20));
      req.end(bytes.subarray(20));
      expect(await reading).to.equal('request-too-large');
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
    });

    it('The body reader reads no more of a body that is too large than its next reader takes', async () => {
      const req = incoming();
      const reading = read(req, 1000);
      req.write(Buffer.alloc(2000));
      await reading;
      for (let count = 0; count < 100; count++) req.write(Buffer.alloc(20_000));
      await soon(new Promise<never>(() => {}));
      const stream = req.egContext.requestStream as PassThrough;
      expect(stream.readableLength + stream.writableLength).to.be.below(200_000);
      req.end();
      expect(await forwarded(req)).to.have.length(2_002_000);
    });

    it('The body reader leaves a body that is too large to later body parsers', async () => {
      const req = whole(bytes, null);
      await read(req, 10);
      expect(req.body).to.equal(undefined);
      expect(req._body).to.equal(undefined);
    });
  });

  describe('The bytes held at once', () => {
    it('The body reader accounts for a body until it is released', async () => {
      for (const length of [bytes.length, null]) {
        const { release } = held(await read(whole(bytes, length)));
        expect(budget.held).to.equal(bytes.length);
        release();
        expect(budget.held).to.equal(0);
      }
    });

    it('The body reader accounts for the bytes that have come, whatever length is declared', async () => {
      const req = incoming({ 'content-length': '500000' });
      const reading = read(req, 500_000);
      await soon(new Promise<never>(() => {}));
      expect(budget.held).to.equal(0);
      req.write('x');
      await soon(new Promise<never>(() => {}));
      expect(budget.held).to.be.within(1, 1000);
      req.destroy();
      expect(await soon(reading)).to.equal('gone');
      expect(budget.held).to.equal(0);
    });

    it('The body reader holds a body of single bytes in few pieces, all accounted for', async () => {
      for (const declared of [true, false]) {
        const length = 200_000;
        const req = incoming(declared ? { 'content-length': String(length) } : {});
        const reading = read(req, length);
        for (let at = 0; at < length; at++) {
          req.write('x');
          if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        req.end();
        const { body, release } = held(await reading);
        expect(body.chunks.length).to.be.below(20);
        expect(body.chunks.reduce((sum, chunk) => sum + chunk.buffer.byteLength, 0)).to.equal(
          budget.held,
        );
        expect(budget.held).to.be.within(length, length + 65_536);
        release();
        expect(budget.held).to.equal(0);
      }
    });

    it('The body reader keeps no larger buffer in memory of which a body is a small part', async () => {
      const pool = Buffer.alloc(65_536, 'x');
      const req = incoming();
      const reading = read(req);
      for (let at = 0; at < 10; at++) req.write(pool.subarray(at, at + 5000));
      req.end();
      const { body } = held(await reading);
      expect(body.chunks.every((chunk) => chunk.buffer !== pool.buffer)).to.equal(true);
      expect(budget.held).to.be.within(50_000, 120_000);
    });

    it('The body reader keeps large pieces without copying them', async () => {
      const pieces = [Buffer.alloc(60_000, 'a'), Buffer.alloc(30_000, 'b')];
      const req = incoming({ 'content-length': '90000' });
      const reading = read(req);
      for (const piece of pieces) req.write(piece);
      const { body } = held(await reading);
      expect(body.chunks.map((chunk) => chunk.buffer)).to.deep.equal(
        pieces.map((one) => one.buffer),
      );
      expect(budget.held).to.equal(90_000);
    });

    it('The body reader leaves a declared body where it is when the budget is too small', async () => {
      budget.max = bytes.length - 1;
      const req = whole(bytes);
      expect(await read(req)).to.equal('buffer-limit');
      expect(req.egContext.requestStream).to.equal(undefined);
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
      expect(budget.held).to.equal(0);
    });

    it('The body reader passes on a chunked body byte for byte when the budget is too small', async () => {
      budget.max = 15;
      const req = incoming();
      const reading = read(req);
      req.write(bytes.subarray(0, 10));
      req.write(bytes.subarray(10, 20));
      expect(await reading).to.equal('buffer-limit');
      req.end(bytes.subarray(20));
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
      expect(budget.held).to.equal(0);
    });

    it('The body reader accounts for a body in passing until it has gone on or is not wanted any more', async () => {
      for (const goesOn of [true, false]) {
        const req = incoming();
        const reading = read(req, 500_000);
        for (let at = 0; at < 20; at++) req.write(Buffer.alloc(50_000));
        expect(await reading).to.equal('request-too-large');
        await soon(new Promise<never>(() => {}));
        expect(budget.held).to.be.above(200_000);
        req.end();
        if (goesOn) expect(await forwarded(req)).to.have.length(1_000_000);
        else for (const then of over) then();
        expect(budget.held).to.equal(0);
      }
    });

    it('The body reader gives the bytes of a body that is too large back', async () => {
      expect(await read(whole(bytes), 10)).to.equal('request-too-large');
      const chunked = whole(bytes, null);
      expect(await read(chunked, 10)).to.equal('request-too-large');
      await forwarded(chunked);
      expect(budget.held).to.equal(0);
    });

    it('The body reader shares its budget among all bodies', async () => {
      budget.max = bytes.length * 2 - 1;
      const first = held(await read(whole(bytes)));
      expect(await read(whole(bytes))).to.equal('buffer-limit');
      first.release();
      held(await read(whole(bytes))).release();
      expect(budget.held).to.equal(0);
    });
  });

  describe('A client that leaves', () => {
    for (const [name, headers] of [
      ['declared', { 'content-length': '100' }],
      ['chunked', {}],
    ] as const) {
      it(`The body reader reports a ${name} body as gone if its client leaves in the middle, and frees its bytes`, async () => {
        const req = incoming(headers);
        const reading = read(req);
        req.write(bytes.subarray(0, 10));
        await soon(new Promise<never>(() => {}));
        req.destroy();
        expect(await soon(reading)).to.equal('gone');
        expect(budget.held).to.equal(0);
      });

      it(`The body reader reports a ${name} body as gone if its client fails, and frees its bytes`, async () => {
        const req = incoming(headers);
        const reading = read(req);
        req.on('error', () => {});
        req.destroy(new Error('ECONNRESET'));
        expect(await soon(reading)).to.equal('gone');
        expect(budget.held).to.equal(0);
      });

      it(`The body reader reports a ${name} body as gone if its client left before the read`, async () => {
        const req = incoming(headers);
        req.destroy();
        await once(req, 'close');
        expect(await soon(read(req))).to.equal('gone');
        expect(budget.held).to.equal(0);
      });
    }

    it('The body reader reports a body as gone to its next reader if its client leaves in passing', async () => {
      const req = incoming();
      const reading = read(req, 10);
      req.write(bytes);
      expect(await reading).to.equal('request-too-large');
      const again = read(req);
      await soon(new Promise<never>(() => {}));
      req.destroy();
      expect(await soon(again)).to.equal('gone');
      expect(budget.held).to.equal(0);
    });
  });

  describe('A body with a content coding', () => {
    const packed = gzipSync(bytes);
    const coded = (coding: string, body: Uint8Array) => {
      const req = whole(body);
      req.headers['content-encoding'] = coding;
      return req;
    };

    it('The body reader forwards a gzip body as it came, and reads its content', async () => {
      const req = coded('gzip', packed);
      const { body, release } = held(await read(req));
      expect((await body.content).outline['model']).to.equal('gpt-4o');
      expect((await body.content).length).to.equal(bytes.length);
      expect(req.body).to.deep.equal(JSON.parse(text));
      expect((await forwarded(req)).equals(packed)).to.equal(true);
      release();
      expect(budget.held).to.equal(0);
    });

    it('The body reader decodes up to three content codings', async () => {
      const { body } = held(
        await read(coded('deflate, br', brotliCompressSync(deflateSync(bytes)))),
      );
      expect((await body.content).problem).to.equal(null);
      const four = [1, 2, 3, 4].reduce<Buffer>((inner) => gzipSync(inner), bytes);
      const tooMany = held(await read(coded('gzip, gzip, gzip, gzip', four)));
      expect((await tooMany.body.content).problem).to.equal('encoding');
    });

    for (const [what, coding, body] of [
      ['that the body does not have', 'gzip', bytes],
      ['that is unknown', 'compress', packed],
      ['that breaks off', 'gzip', packed.subarray(0, -5)],
      ['with bytes behind it', 'gzip', Buffer.concat([packed, bytes])],
    ] as const) {
      it(`The body reader reports a coding ${what} as a problem, and forwards the body as it came`, async () => {
        const req = coded(coding, body);
        const outcome = held(await read(req));
        expect((await outcome.body.content).problem).to.equal('encoding');
        expect(req.body).to.deep.equal({});
        expect((await forwarded(req)).equals(body)).to.equal(true);
        outcome.release();
        expect(budget.held).to.equal(0);
      });
    }

    it('The body reader decodes a body only within its bounds', async () => {
      const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));
      const req = coded('gzip', bomb);
      const { body, release } = held(await read(req));
      expect((await body.content).problem).to.equal('request-too-large');
      expect((await body.within(99_000).content).problem).to.equal('request-too-large');
      release();
      budget.max = bomb.length * 2;
      const full = held(await read(coded('gzip', bomb)));
      expect((await full.body.content).problem).to.equal('buffer-limit');
      full.release();
      await eventually(() => budget.held === 0, 'all is given back');
    });

    it('The body reader decodes further for a later policy that takes more', async () => {
      const { body } = held(await read(coded('gzip', gzipSync(Buffer.alloc(5000, ' '))), 1000));
      expect((await body.content).problem).to.equal('request-too-large');
      expect((await body.within(5000).content).problem).to.equal('not-json');
    });

    it('The body reader holds a compressed body until it has been decoded', async () => {
      const { body, release } = held(await read(coded('gzip', packed)));
      const reading = body.content;
      release();
      expect(budget.held).to.be.above(0);
      await reading;
      await eventually(() => budget.held === 0, 'all is given back');
    });
  });

  it('The body reader does not wait for a body that another policy has read to its end', async () => {
    const req = whole(bytes, null);
    await buffer(req);
    expect(await soon(read(req))).to.not.be.oneOf(['pending', 'gone']);
  });

  describe('A body parsed for later policies', () => {
    const parsed = JSON.parse(text) as object;

    it('The body reader offers req.body, marked so that a body parser lets it be', async () => {
      const req = whole(bytes);
      held(await read(req));
      expect(req._body).to.equal(true);
      expect(req.body).to.deep.equal(parsed);
      expect(Object.keys(req)).to.include('body');
    });

    it('The body reader offers req.body as a copy that a policy may change', async () => {
      const req = whole(bytes);
      const { body } = held(await read(req));
      const theirs = req.body as Record<string, unknown>;
      theirs['model'] = 'another';
      expect(req.body).to.equal(theirs);
      expect(Buffer.concat(body.chunks).equals(bytes)).to.equal(true);
      expect((await forwarded(req)).equals(bytes)).to.equal(true);
    });

    it('The body reader lets a policy replace req.body, before and after reading it', async () => {
      const req = whole(bytes);
      held(await read(req));
      req.body = { first: 1 };
      expect(req.body).to.deep.equal({ first: 1 });
      req.body = { second: 2 };
      expect(req.body).to.deep.equal({ second: 2 });
    });

    it('The body reader offers an empty object as req.body where the body is not a JSON object', async () => {
      for (const odd of ['[1]', 'a=b', '{"a":', '\ufeff{}']) {
        const req = whole(Buffer.from(odd));
        held(await read(req));
        expect(req.body, odd).to.deep.equal({});
      }
    });
  });

  describe('A body from the network', () => {
    let server: Server;
    let port: number;
    let outcome: Promise<HeldBody | string>;
    let maxBytes: number;
    /** What another policy does with the request while its body is read. */
    let meanwhile: (req: IncomingMessage) => void;

    beforeEach(async () => {
      maxBytes = 100_000;
      meanwhile = () => {};
      let resolve: (value: Promise<HeldBody | string>) => void;
      outcome = new Promise((done) => (resolve = done));
      server = createServer((plain, res) => {
        const req = Object.assign(plain, {
          originalUrl: plain.url,
          egContext: {},
        }) as GatewayRequest;
        resolve(read(req, maxBytes).finally(() => (req.egContext.requestStream ?? req).pipe(res)));
        meanwhile(plain);
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    });

    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    const post = (headers: Readonly<Record<string, string | number>>) =>
      open({ host: '127.0.0.1', port, method: 'POST', agent: false, headers });

    for (const [name, headers] of [
      ['declared', { 'content-length': bytes.length }],
      ['chunked', { 'transfer-encoding': 'chunked' }],
    ] as const) {
      it(`The body reader reads a ${name} body from the network whole and passes it on`, async () => {
        const client = post(headers);
        client.end(bytes);
        const [res] = (await once(client, 'response')) as [IncomingMessage];
        expect((await buffer(res)).equals(bytes)).to.equal(true);
        expect(textOf(held(await outcome))).to.equal(text);
      });

      it(`The body reader reports a ${name} body from the network as gone if its client leaves in the middle`, async () => {
        const client = post(headers);
        client.on('error', () => {});
        const arrived = once(server, 'request');
        client.write(bytes.subarray(0, 10));
        await arrived;
        client.destroy();
        expect(await outcome).to.equal('gone');
        expect(budget.held).to.equal(0);
      });
    }

    it('The body reader shares a body with a policy that listens to the request after passing it on', async () => {
      const heard: Buffer[] = [];
      meanwhile = (req) => req.on('data', (chunk: Buffer) => heard.push(chunk));
      const client = post({ 'content-length': bytes.length });
      client.end(bytes);
      const [res] = (await once(client, 'response')) as [IncomingMessage];
      expect((await buffer(res)).equals(bytes)).to.equal(true);
      expect(Buffer.concat(heard).toString()).to.equal(text);
    });

    it('The body reader reads on to the end where the head and the body come one by one', async () => {
      const client = post({ 'content-length': bytes.length });
      const arrived = once(server, 'request');
      client.flushHeaders();
      await arrived;
      client.write(bytes.subarray(0, 10));
      await soon(new Promise<never>(() => {}));
      client.end(bytes.subarray(10));
      const [res] = (await once(client, 'response')) as [IncomingMessage];
      expect((await buffer(res)).equals(bytes)).to.equal(true);
      expect(textOf(held(await outcome))).to.equal(text);
    });

    it('The body reader reports a body as gone if its request is destroyed in the turn of its arrival', async () => {
      meanwhile = (req) => req.destroy();
      const client = post({ 'content-length': bytes.length });
      client.on('error', () => {});
      client.end(bytes);
      expect(await outcome).to.equal('gone');
      expect(budget.held).to.equal(0);
    });

    it('The body reader passes on, byte for byte, a chunked body that is there at once and too large', async () => {
      maxBytes = 10;
      const client = post({ 'transfer-encoding': 'chunked' });
      client.end(bytes);
      const [res] = (await once(client, 'response')) as [IncomingMessage];
      expect((await buffer(res)).equals(bytes)).to.equal(true);
      expect(await outcome).to.equal('request-too-large');
    });

    it('The body reader passes on, byte for byte, a network body that turns out too large', async () => {
      const large = Buffer.alloc(1_000_000, 'x');
      const client = post({ 'transfer-encoding': 'chunked' });
      client.end(large);
      const [res] = (await once(client, 'response')) as [IncomingMessage];
      expect((await buffer(res)).equals(large)).to.equal(true);
      expect(await outcome).to.equal('request-too-large');
    });
  });
});
