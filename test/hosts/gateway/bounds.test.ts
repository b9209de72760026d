import net from 'node:net';
import zlib from 'node:zlib';
import { expect } from 'chai';
import { admin } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

const bufferedBytes = 400_000;
const miss = 'llm-cache; fwd=miss';

describe('Large, slow, fragmented and compressed requests', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let nth = 0;
  const sockets: net.Socket[] = [];

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      settings: { limits: { bufferedBytes } },
      gateway: gatewayConfig(upstream.url, {
        api: both({ maxRequestBytes: 150_000 }),
        'usage-only': [{ 'llm-usage': {} }],
        transformed: [
          ...both(),
          { 'request-transformer': { action: { body: { add: { user: '"added"' } } } } },
        ],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });
  beforeEach(() => upstream.answer(json(answers.chat.json)));
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await eventually(async () => (await held()) === 0, 'every byte is given back');
  });

  const url = (place = 'api') => `${gateway.url}/${place}/v1/chat/completions`;
  const ask = (more: object = {}) => ({ model: `bounded ${++nth}`, messages: [], ...more });
  const held = async () =>
    ((await admin(gateway, '/stats')).json as { bufferedBytes: number }).bufferedBytes;
  const recordsOf = async (model: string) => {
    const found = () => gateway.records.filter((record) => record.model === model);
    await eventually(() => found().length === 2, 'the records');
    return found();
  };
  const statusOf = async (body: string | Buffer | object) =>
    (await post(url(), body)).headers['cache-status'];

  /** An upload that stalls after so many bytes of the length that it declares. */
  function stall(sent: number, declared: number): void {
    const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      `POST /api/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${declared}\r\n\r\n${'{'.padEnd(sent)}`,
    );
    sockets.push(socket);
  }

  /** Uploads that have sent all but their ends, and hold nearly all that may be held. */
  async function stallAll(): Promise<void> {
    let all = 0;
    for (const size of [140_000, 100_000, 60_000]) {
      stall(size, size + 10);
      all += size;
      await eventually(async () => (await held()) >= all, 'it is there');
    }
  }

  it('The gateway caches other requests while 30 uploads declare much and send nothing', async () => {
    const known = ask();
    await post(url(), known);
    for (let count = 0; count < 30; count++) stall(1, 150_000);
    await eventually(async () => (await held()) >= 30, 'they are there');
    expect(await held()).to.be.below(30_000);
    expect((await post(url(), known)).headers['x-cache']).to.equal('HIT (exact)');
    expect(await statusOf(ask({ user: 'x'.repeat(100_000) }))).to.equal(miss);
  });

  it('The gateway keeps room for new requests when uploads stall before their end', async () => {
    const known = ask();
    await post(url(), known);
    await stallAll();
    // One more does not get what the others have left.
    stall(45_000, 45_010);
    expect((await post(url(), known)).headers['x-cache']).to.equal('HIT (exact)');
    expect(await statusOf(ask())).to.equal(miss);
  });

  it('The gateway records requests that find no room by what their answers tell', async () => {
    await stallAll();
    const answer = JSON.parse(answers.chat.json) as { model: string };
    const model = `unbuffered ${++nth}`;
    upstream.answer(json(JSON.stringify({ ...answer, model, padding: 'x'.repeat(40_000) })));
    for (const place of ['api', 'usage-only']) {
      const large = await post(url(place), ask({ user: 'x'.repeat(100_000) }));
      if (place === 'api') {
        expect(large.headers['cache-status']).to.equal(
          'llm-cache; fwd=bypass; detail=buffer-limit',
        );
      }
    }
    for (const record of await recordsOf(model)) {
      expect(record).to.include({ requested_model: null, billed: true });
      expect(record.total_tokens).to.be.above(0);
    }
  });

  it('The gateway forwards a request of single bytes whole, and answers it from the cache', async () => {
    const body = JSON.stringify(ask({ user: 'ü'.repeat(20_000) }));
    const bytes = Buffer.from(body);
    const wire = Buffer.concat([...bytes].map((byte) => Buffer.from([0x31, 13, 10, byte, 13, 10])));
    const answered = new Promise<string>((resolve) => {
      const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
      sockets.push(socket);
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('\r\n0\r\n\r\n') || text.includes('content-length')) resolve(text);
      });
      socket.write(
        'POST /api/v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n',
      );
      socket.write(wire);
      socket.write('0\r\n\r\n');
    });
    expect(await answered).to.contain('fwd=miss');
    expect(upstream.last.body.equals(bytes)).to.equal(true);
    const headers = { host: 'x' };
    expect((await post(url(), body, { headers })).headers['x-cache']).to.equal('HIT (exact)');
  });

  it('The gateway keys a request that nests too deep by its bytes', async () => {
    const deep = `${'['.repeat(70_000)}${']'.repeat(70_000)}`;
    const body = JSON.stringify(ask()).replace('[]', deep);
    expect(await statusOf(body)).to.equal(miss);
    expect((await post(url(), body)).headers['x-cache']).to.equal('HIT (exact)');
    expect(upstream.last.body.toString() === body).to.equal(true);
    expect(await statusOf(` ${body}`)).to.equal(miss);
  });

  describe('Requests with a content coding', () => {
    const coders = {
      gzip: zlib.gzipSync,
      br: zlib.brotliCompressSync,
      deflate: zlib.deflateSync,
      'gzip, br': (text: Buffer) => zlib.brotliCompressSync(zlib.gzipSync(text)),
    };
    for (const [coding, packed] of Object.entries(coders)) {
      it(`The gateway forwards a ${coding} request as it came, and shares its answer with a plain one`, async () => {
        const asked = ask({ user: 'ü'.repeat(1000) });
        const body = packed(Buffer.from(JSON.stringify(asked)));
        const headers = { 'content-encoding': coding };
        const first = await post(url(), body, { headers });
        expect(first.headers['cache-status']).to.equal(miss);
        expect(upstream.last.body.equals(body)).to.equal(true);
        expect(upstream.last.headers['content-encoding']).to.equal(coding);
        for (const hit of [await post(url(), body, { headers }), await post(url(), asked)]) {
          expect(hit.headers['x-cache']).to.equal('HIT (exact)');
        }
        const records = await gateway.recorded(asked.model, 3);
        expect(records.map((one) => one.cache_type)).to.deep.equal([null, 'exact', 'exact']);
      });
    }

    for (const [what, coding, packed] of [
      ['that is unknown', 'compress', zlib.gzipSync('{}')],
      ['that the body does not have', 'gzip', Buffer.from('{}')],
      ['that breaks off', 'gzip', zlib.gzipSync('{"model":"m"}').subarray(0, -4)],
    ] as const) {
      it(`The gateway stands aside for a request with a coding ${what}, and forwards it as it came`, async () => {
        const { headers } = await post(url(), packed, { headers: { 'content-encoding': coding } });
        expect(headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=encoding');
        expect(upstream.last.body.equals(packed)).to.equal(true);
      });
    }

    it('The gateway forwards a compressed body that unpacks to too much, and stops unpacking it', async () => {
      const bomb = zlib.gzipSync(Buffer.alloc(20_000_000, ' '));
      for (const [coding, body] of [
        ['gzip', bomb],
        ['gzip, gzip', zlib.gzipSync(bomb)],
      ] as const) {
        const { headers } = await post(url(), body, { headers: { 'content-encoding': coding } });
        expect(headers['cache-status']).to.match(/request-too-large|buffer-limit/);
        expect(upstream.last.body.equals(body)).to.equal(true);
      }
    });

    it('The gateway lets a later policy read a compressed body', async () => {
      const body = zlib.gzipSync(JSON.stringify(ask()));
      const headers = { 'content-encoding': 'gzip' };
      expect((await post(url('transformed'), body, { headers })).status).to.equal(200);
      expect(JSON.parse(upstream.last.body.toString())).to.include({ user: 'added' });
    });
  });
});
