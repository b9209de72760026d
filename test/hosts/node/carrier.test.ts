import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import httpProxy from 'http-proxy';
import { Carrier } from '../../../policies/hosts/node/carrier.ts';
import { HeadLayer } from '../../../policies/hosts/node/response-layer.ts';
import { waitingLayers } from '../../../policies/hosts/node/waiting-layers.ts';

type Handler = (req: http.IncomingMessage, res: http.ServerResponse) => void;

describe('The carrier of an upstream message', () => {
  const servers: http.Server[] = [];
  const proxy = httpProxy.createProxyServer();
  let upstream: Handler;
  let gateway: Handler;
  let target: string;
  let url: string;

  async function serve(handler: Handler): Promise<string> {
    const server = http.createServer(handler);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  before(async () => {
    target = await serve((req, res) => upstream(req, res));
    url = await serve((req, res) => gateway(req, res));
    proxy.on('error', (_error, _req, res) => {
      (res as http.ServerResponse).writeHead(502).end('no upstream');
    });
  });
  after(() => {
    for (const server of servers) server.close().closeAllConnections();
  });

  /** Marks the head, and writes down what passes. */
  class Seeing extends HeadLayer {
    readonly seen: string[] = [];

    protected override beforeHead(): void {
      this.seen.push(`head ${this.res.statusCode}`);
      this.res.setHeader('seen', 'yes');
    }

    override write(args: unknown[]): boolean {
      this.seen.push(String(args[0]));
      return super.write(args);
    }

    override end(args: unknown[]): void {
      this.seen.push('end');
      super.end(args);
    }
  }

  const hasOwnFunctions = (res: http.ServerResponse) =>
    ['write', 'end', 'writeHead'].some((name) => Object.hasOwn(res, name));

  /** The body of a request without one, for the proxy that reads it next. */
  const bodyFor = (carrier: Carrier) => ({
    pipe(call: http.ClientRequest) {
      carrier.follow(call);
      call.end();
      return call;
    },
  });

  function begin(res: http.ServerResponse): Carrier | null {
    return Carrier.of(res, (then) => res.once('close', then));
  }

  it('A carried message passes the layers, and the functions of its response stay those of Node', async () => {
    upstream = (_req, res) => {
      res.writeHead(201);
      res.write('one', () => res.end('two'));
    };
    let layer: Seeing | undefined;
    let isTouched: boolean | undefined;
    gateway = (req, res) => {
      const carrier = begin(res) as Carrier;
      layer = new Seeing(res);
      res.once('finish', () => (isTouched = hasOwnFunctions(res)));
      proxy.web(req, res, { target, buffer: bodyFor(carrier) as never });
      carrier.nextReturned();
    };
    const response = await fetch(url);
    expect([response.status, response.headers.get('seen')]).to.deep.equal([201, 'yes']);
    expect(await response.text()).to.equal('onetwo');
    expect(layer?.seen[0]).to.equal('head 201');
    expect(layer?.seen.slice(1, -1).join('')).to.equal('onetwo');
    expect(layer?.seen.at(-1)).to.equal('end');
    expect(isTouched).to.equal(false);
  });

  it('The layers of a carrier see what a proxy answers when its call fails', async () => {
    let layer: Seeing | undefined;
    gateway = (req, res) => {
      const carrier = begin(res) as Carrier;
      layer = new Seeing(res);
      proxy.web(req, res, { target: 'http://127.0.0.1:9', buffer: bodyFor(carrier) as never });
      carrier.nextReturned();
    };
    const response = await fetch(url);
    expect([response.status, await response.text()]).to.deep.equal([502, 'no upstream']);
    expect(response.headers.get('seen')).to.equal('yes');
    expect(layer?.seen).to.deep.equal(['head 502', 'end']);
  });

  it('The layers of a carrier see what a proxy answers later without a call', async () => {
    let layer: Seeing | undefined;
    gateway = (_req, res) => {
      const carrier = begin(res) as Carrier;
      layer = new Seeing(res);
      setImmediate(() => res.end('of its own'));
      carrier.nextReturned();
    };
    const response = await fetch(url);
    expect([response.headers.get('seen'), await response.text()]).to.deep.equal([
      'yes',
      'of its own',
    ]);
    expect(layer?.seen).to.have.members(['head 200', 'end']);
  });

  it('A carrier waits for a client that does not read', async () => {
    const chunk = Buffer.alloc(64 * 1024);
    let written = 0;
    upstream = (_req, res) => {
      const more = () => {
        while (written < 1000 && res.write(chunk)) written++;
      };
      res.on('drain', more);
      more();
    };
    let behind = 0;
    const paused = new Promise<void>((resolve) => {
      gateway = (req, res) => {
        const carrier = begin(res) as Carrier;
        proxy.web(req, res, { target, buffer: bodyFor(carrier) as never });
        res.on('pipe', (message: http.IncomingMessage) =>
          message.once('pause', () => {
            behind = res.writableLength;
            resolve();
          }),
        );
      };
    });
    const controller = new AbortController();
    const { port } = new URL(url);
    const call = http.request({ port, signal: controller.signal }, (message) => message.pause());
    call.on('error', () => {});
    call.end();
    await paused;
    expect(behind).to.be.greaterThan(0);
    expect(written).to.be.lessThan(1000);
    controller.abort();
  });

  it('A response that another policy wraps has no carrier', async () => {
    const found: unknown[] = [];
    gateway = (_req, res) => {
      const { write } = res;
      res.write = write.bind(res);
      found.push(begin(res), waitingLayers(res));
      res.end();
    };
    await (await fetch(url)).text();
    expect(found).to.deep.equal([null, undefined]);
  });
});
