import http from 'node:http';
import net from 'node:net';
import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { begin, post, read, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { chunk, deaths, head, RawUpstream } from '../../support/raw-upstream.ts';

const sse = 'Content-Type: text/event-stream';
const json = 'Content-Type: application/json';
const [first = ''] = answers.chat.sse.split(/(?<=\n\n)/);
const whole = (text: string) =>
  head(json, `Content-Length: ${Buffer.byteLength(text)}`, 'Connection: close') + text;

/** Calls whose service endpoint has options of its own. */
function withOptions(config: object, pipeline: string, proxyOptions: object): object {
  const known = config as {
    serviceEndpoints: Record<string, { url: string }>;
    pipelines: Record<string, { policies: object[] }>;
  };
  const { serviceEndpoints, pipelines } = known;
  const url = serviceEndpoints['upstream']?.url;
  const policies = pipelines[pipeline]?.policies.slice(0, -1) ?? [];
  return {
    ...config,
    serviceEndpoints: { ...serviceEndpoints, [pipeline]: { url, proxyOptions } },
    pipelines: {
      ...pipelines,
      [pipeline]: {
        ...pipelines[pipeline],
        policies: [...policies, { proxy: { action: { serviceEndpoint: pipeline } } }],
      },
    },
  };
}

describe('A broken upstream behind the gateway', () => {
  let upstream: RawUpstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    upstream = await RawUpstream.start();
    const stale = { ttl: 1, staleIfError: 600 };
    let config = gatewayConfig(upstream.url, {
      usage: [{ 'llm-usage': {} }],
      cache: [{ 'llm-cache': {} }],
      both: both(),
      small: both({ maxRequestBytes: 10_000 }),
      stale: both(stale),
      impatient: both(stale),
      idle: both(stale),
    });
    config = withOptions(config, 'impatient', { proxyTimeout: 250 });
    config = withOptions(config, 'idle', { timeout: 250 });
    gateway = await Gateway.start({ gateway: config });
  });
  after(async () => {
    expect(gateway.log).to.not.match(/unhandled|TypeError|llm-cache: |llm-usage: /i);
    await gateway.stop();
    await upstream.close();
  });

  const url = (pipeline: string) => `${gateway.url}/${pipeline}/v1/chat/completions`;
  const newQuestion = (more: object = {}) => ({
    model: `model ${++question}`,
    messages: [],
    ...more,
  });

  const expiredOnes = new Map<string, { model: string }>();

  /** A question whose stored answer has expired. No failure renews it, so one will do. */
  async function expired(pipeline: string): Promise<{ model: string }> {
    const known = expiredOnes.get(pipeline);
    if (known !== undefined) return known;
    const body = newQuestion();
    expiredOnes.set(pipeline, body);
    upstream.does((socket) => void socket.end(whole(answers.chat.json)));
    await post(url(pipeline), body);
    await gateway.pass(1100);
    return body;
  }

  function expectStale(reply: Reply): void {
    expect([reply.status, reply.text, reply.broken]).to.deep.equal([200, answers.chat.json, false]);
    expect(reply.headers['x-cache']).to.equal('HIT (stale)');
    expect(reply.headers).to.not.have.property('transfer-encoding');
  }

  for (const [way, { framing, carry, die }] of Object.entries(deaths)) {
    for (const pipeline of ['usage', 'cache', 'both', 'stale']) {
      it(`An upstream that ${way} breaks a stream through "${pipeline}" for each reader, stored nowhere`, async () => {
        let socket: net.Socket | null = null;
        upstream.does((asked) => {
          socket = asked;
          asked.write(head(sse, framing) + carry(first));
        });
        const body = newQuestion({ stream: true });
        const readers = [await begin(url(pipeline), body)];
        if (pipeline !== 'usage') readers.push(await begin(url(pipeline), body));
        expect(readers.map(({ headers }) => headers['x-cache'])).to.deep.equal(
          [undefined, 'HIT (coalesced)'].slice(0, readers.length),
        );
        die(socket ?? expect.fail('the upstream was not asked'));
        for (const reader of readers) {
          const reply = await reader.reply;
          expect([reply.text, reply.broken]).to.deep.equal([first, true]);
        }
        const calls = upstream.calls;
        upstream.does((asked) => void asked.end(whole(answers.chat.json)));
        expect((await post(url(pipeline), body)).text).to.equal(answers.chat.json);
        expect(upstream.calls).to.equal(calls + 1);
      });
    }

    it(`An upstream that ${way} breaks bypassed requests and those for other paths, too`, async () => {
      for (const [path, headers] of [
        ['/v1/chat/completions', { 'cache-control': 'no-store' }],
        ['/v1/files', {}],
      ] as const) {
        let socket: net.Socket | null = null;
        upstream.does((asked) => {
          socket = asked;
          asked.write(head(sse, framing) + carry(first));
        });
        const reader = await begin(`${gateway.url}/cache${path}`, newQuestion(), { headers });
        die(socket ?? expect.fail('the upstream was not asked'));
        const reply = await reader.reply;
        expect([reply.text, reply.broken]).to.deep.equal([first, true]);
      }
    });

    it(`An upstream that ${way} before the first byte gives a 502, or a stale answer`, async () => {
      const stale = await expired('stale');
      upstream.does((socket) => {
        socket.write(head(sse, framing, 'Content-Encoding: gzip', 'ETag: "1"'));
        // When the gateway has had time to take the head for itself.
        setTimeout(() => die(socket), 30);
      });
      for (const pipeline of ['usage', 'cache', 'both']) {
        const reply = await post(url(pipeline), newQuestion());
        expect([reply.status, reply.text, reply.broken]).to.deep.equal([
          502,
          'Bad gateway.',
          false,
        ]);
        expect(reply.headers).to.not.have.any.keys('transfer-encoding', 'content-encoding');
        expect(reply.headers['content-type']).to.match(/^text\//);
      }
      expectStale(await post(url('stale'), stale));
    });
  }

  const unheard: Record<string, (socket: net.Socket) => void> = {
    'closes its connection': (socket) => void socket.destroy(),
    'resets its connection': (socket) => void socket.resetAndDestroy(),
    'sends bytes that are not HTTP': (socket) => void socket.end('SSH-2.0-OpenSSH\r\n'),
    'sends a head that breaks off': (socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Ty'),
    'declares two lengths': (socket) =>
      void socket.end(head(json, 'Content-Length: 3', 'Content-Length: 4') + '{}\n'),
    'declares two framings': (socket) =>
      void socket.end(head(json, 'Content-Length: 3', 'Transfer-Encoding: chunked') + '{}\n'),
  };
  for (const [way, die] of Object.entries(unheard)) {
    it(`An upstream that ${way} before its head gives a 502, or a stale answer`, async () => {
      const stale = await expired('stale');
      upstream.does(die);
      for (const pipeline of ['usage', 'cache', 'both']) {
        const reply = await post(url(pipeline), newQuestion());
        expect([reply.status, reply.text]).to.deep.equal([502, 'Bad gateway.']);
      }
      expectStale(await post(url('stale'), stale));
    });
  }

  it('An upstream that is silent past proxyTimeout before its first byte gives a 502, or a stale answer', async () => {
    for (const sent of ['', head(sse, 'Transfer-Encoding: chunked')]) {
      const stale = await expired('impatient');
      upstream.does((socket) => void socket.write(sent));
      expectStale(await post(url('impatient'), stale));
      const reply = await post(url('impatient'), newQuestion());
      expect([reply.status, reply.text]).to.deep.equal([502, 'Bad gateway.']);
    }
  });

  it('An upstream that is silent past proxyTimeout after its first byte breaks the answer', async () => {
    upstream.does((socket) => {
      socket.write(head(sse, 'Transfer-Encoding: chunked') + chunk(first));
    });
    const reply = await post(url('impatient'), newQuestion({ stream: true }));
    expect([reply.text, reply.broken]).to.deep.equal([first, true]);
  });

  it('An upstream that is silent past the timeout before its first byte gives a stale answer; its call ends', async () => {
    for (const sent of ['', head(sse, 'Transfer-Encoding: chunked')]) {
      const stale = await expired('idle');
      let closed = false;
      upstream.does((socket) => {
        socket.once('close', () => (closed = true));
        socket.write(sent);
      });
      expectStale(await post(url('idle'), stale));
      await eventually(() => closed, 'the call ends');
    }
  });

  it('An upstream that is silent past the timeout after its first byte breaks the answer', async () => {
    const stale = await expired('idle');
    upstream.does((socket) => {
      socket.write(head(sse, 'Transfer-Encoding: chunked') + chunk(first));
    });
    const reply = await post(url('idle'), stale);
    expect([reply.text, reply.broken]).to.deep.equal([first, true]);
  });

  const excess: Record<string, (socket: net.Socket, text: string) => void> = {
    'at once': (socket, text) => void socket.end(`${text}excess`),
    'at once on a kept connection': (socket, text) =>
      void socket.write(`${text.replace('close', 'keep-alive')}excess`),
    'behind its last chunk': (socket) =>
      void socket.end(
        `${head(json, 'Transfer-Encoding: chunked')}${chunk(answers.chat.json)}0\r\n\r\nexcess`,
      ),
    'behind a 204': (socket) => void socket.end(`HTTP/1.1 204 No Content\r\n\r\nexcess`),
  };
  for (const [when, send] of Object.entries(excess)) {
    it(`An upstream that sends excess bytes ${when} gives a 502 or a stale answer, and nothing is stored`, async () => {
      for (const [path, pipeline] of [
        ['/v1/chat/completions', 'usage'],
        ['/v1/chat/completions', 'cache'],
        ['/v1/chat/completions', 'both'],
        ['/v1/files', 'cache'],
        ['/v1/files', 'usage'],
      ] as const) {
        const body = newQuestion();
        for (const _ of [1, 2]) {
          const calls = upstream.calls;
          upstream.does((socket) => send(socket, whole(answers.chat.json)));
          const reply = await post(`${gateway.url}/${pipeline}${path}`, body);
          expect([reply.status, reply.text]).to.deep.equal([502, 'Bad gateway.']);
          expect(upstream.calls).to.equal(calls + 1);
        }
      }
      const stale = await expired('stale');
      upstream.does((socket) => send(socket, whole(answers.chat.json)));
      expectStale(await post(url('stale'), stale));
    });
  }

  it('An upstream that sends excess bytes mid-answer does not harm the gateway, and nothing is stored', async () => {
    const body = newQuestion();
    const { length } = answers.chat.json;
    for (const _ of [1, 2]) {
      const calls = upstream.calls;
      upstream.does((socket) => {
        const start = head(json, `Content-Length: ${length}`) + answers.chat.json.slice(0, 20);
        socket.write(start, () => {
          setTimeout(() => socket.end(`${answers.chat.json.slice(20)}excess`), 30);
        });
      });
      await post(url('both'), body).catch(() => {});
      expect(upstream.calls).to.equal(calls + 1);
    }
    expect((await fetch(`${gateway.adminUrl}/llm-cache/stats`)).status).to.equal(200);
  });

  it('An upstream that answers whole before it has read a large request has its answer delivered', async () => {
    const early = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.pause();
        socket.write(whole(answers.chat.json), () => setTimeout(() => socket.destroy(), 50));
      });
    });
    await new Promise<void>((resolve) => early.listen(0, '127.0.0.1', resolve));
    const { port } = early.address() as net.AddressInfo;
    const other = await Gateway.start({
      gateway: gatewayConfig(`http://127.0.0.1:${port}`, { api: both() }),
    });
    const body = { model: 'large', input: 'x'.repeat(5_000_000) };
    const reply = await post(`${other.url}/api/v1/responses`, body);
    expect([reply.status, reply.text, reply.broken]).to.deep.equal([200, answers.chat.json, false]);
    await other.stop();
    early.close();
  });

  it('An upstream that breaks off resets the connection of an HTTP/1.0 client, whose end would look whole', async () => {
    for (const pipeline of ['usage', 'both']) {
      const asked: net.Socket[] = [];
      upstream.does((socket) => {
        asked.push(socket);
        socket.write(head(sse, 'Transfer-Encoding: chunked') + chunk(first));
      });
      const body = JSON.stringify(newQuestion({ stream: true }));
      const readers = [await oldClient(url(pipeline), body)];
      if (pipeline === 'both') readers.push(await oldClient(url(pipeline), body));
      expect(asked.length).to.equal(1);
      asked[0]?.resetAndDestroy();
      for (const { ended } of readers) expect(await ended).to.equal('ECONNRESET');
    }
  });

  it('An upstream that answers whole ends the connection of an HTTP/1.0 client normally', async () => {
    upstream.does((asked) => {
      asked.write(head(sse, 'Transfer-Encoding: chunked') + chunk(answers.chat.sse));
      asked.write(chunk(''));
    });
    const body = JSON.stringify(newQuestion({ stream: true }));
    const { ended, text } = await oldClient(url('both'), body);
    expect(await ended).to.equal('end');
    expect(text()).to.contain(answers.chat.sse);
  });

  it('An upstream that breaks off a pipelined request leaves the answer before it whole', async () => {
    const asked: net.Socket[] = [];
    upstream.does((socket) => void asked.push(socket));
    const { hostname, port, pathname } = new URL(url('both'));
    const client = net.connect(Number(port), hostname);
    let text = '';
    client.on('data', (bytes) => (text += bytes.toString()));
    client.on('error', () => {});
    const closed = new Promise((resolve) => client.once('close', resolve));
    for (const nth of [1, 2]) {
      const body = JSON.stringify(newQuestion());
      const fields = `Host: a\r\nContent-Length: ${body.length}`;
      client.write(`POST ${pathname} HTTP/1.1\r\n${fields}\r\n\r\n${body}`);
      await eventually(() => asked.length === nth, 'the call');
    }
    asked[1]?.write(head(sse, 'Transfer-Encoding: chunked') + chunk(first), () => {
      setTimeout(() => {
        asked[1]?.resetAndDestroy();
        setTimeout(() => asked[0]?.end(whole(answers.chat.json)), 30);
      }, 30);
    });
    await closed;
    expect(text).to.contain(answers.chat.json);
    expect(text.split(answers.chat.json)[1]).to.not.match(/0\r\n\r\n$|Bad gateway/);
  });

  it("An upstream that breaks off closes the client's connection, and a new one serves the next request", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ask = () =>
      new Promise<Reply>((resolve, reject) => {
        const request = http.request(url('both'), { method: 'POST', agent }, (response) =>
          resolve(read(response)),
        );
        request.on('error', reject);
        request.end(JSON.stringify(newQuestion()));
      });
    upstream.does((socket) => {
      socket.write(head(json, 'Transfer-Encoding: chunked') + chunk('{"id"'), () => {
        setTimeout(() => socket.resetAndDestroy(), 30);
      });
    });
    expect((await ask()).broken).to.equal(true);
    upstream.does((socket) => void socket.end(whole(answers.chat.json)));
    expect((await ask()).text).to.equal(answers.chat.json);
    agent.destroy();
  });

  it('The gateway survives clients that break off large requests', async () => {
    upstream.does((socket) => void socket.end(whole(answers.chat.json)));
    for (const [coding, sent] of [
      ['identity', 5000],
      ['chunked', 5000],
      ['chunked', 500_000],
    ] as const) {
      for (const path of ['/v1/chat/completions', '/v1/files']) {
        const request = http.request(`${gateway.url}/small${path}`, {
          method: 'POST',
          agent: false,
          headers: coding === 'chunked' ? {} : { 'content-length': 9000 },
        });
        request.on('error', () => {});
        await new Promise<void>((resolve) => request.write('x'.repeat(sent), () => resolve()));
        request.destroy();
      }
    }
    expect((await post(url('both'), newQuestion())).text).to.equal(answers.chat.json);
  });

  it('An upstream that sends 100, 102 and 103 first has its answer delivered whole and stored', async () => {
    upstream.does((socket) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n');
      socket.end(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${whole(answers.chat.json)}`);
    });
    const body = newQuestion();
    expect((await post(url('both'), body)).text).to.equal(answers.chat.json);
    expect((await post(url('both'), body)).headers['x-cache']).to.equal('HIT (exact)');
  });

  it('An upstream that sends trailers has its answer delivered whole and stored', async () => {
    const framed = head(json, 'Transfer-Encoding: chunked', 'Trailer: X-Sum');
    upstream.does(
      (socket) => void socket.end(`${framed}${chunk(answers.chat.json)}0\r\nX-Sum: 1\r\n\r\n`),
    );
    const body = newQuestion();
    expect((await post(url('both'), body)).text).to.equal(answers.chat.json);
    expect((await post(url('both'), body)).headers['x-cache']).to.equal('HIT (exact)');
  });
});

/** A client of HTTP/1.0 that has the first bytes of its answer; `ended` says how its connection went. */
async function oldClient(
  address: string,
  body: string,
): Promise<{ readonly ended: Promise<string>; readonly text: () => string }> {
  const { hostname, port, pathname } = new URL(address);
  const socket = net.connect(Number(port), hostname);
  let text = '';
  const ended = new Promise<string>((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('end', () => resolve('end'));
  });
  const begun = new Promise<void>((resolve) => {
    socket.on('data', (bytes) => {
      text += bytes.toString();
      if (text.includes('data:')) resolve();
    });
  });
  socket.write(
    `POST ${pathname} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await begun;
  return { ended, text: () => text };
}
