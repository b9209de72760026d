import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { hasOnlyLayers } from '../../../policies/hosts/node/response-functions.ts';
import { HeadLayer, ResponseLayer } from '../../../policies/hosts/node/response-layer.ts';

type Handler = (res: http.ServerResponse) => void;

describe('A layer around a response', () => {
  let server: http.Server;
  let handler: Handler;

  before(async () => {
    server = http.createServer((_req, res) => handler(res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(() => void server.close());

  async function answer(by: Handler): Promise<Response> {
    handler = by;
    const { port } = server.address() as AddressInfo;
    return fetch(`http://127.0.0.1:${port}`);
  }

  /** Says its name in front of all that passes it. */
  class Named extends ResponseLayer {
    readonly #name: string;

    constructor(name: string, res: http.ServerResponse) {
      super(res);
      this.#name = name;
    }

    override write([chunk]: unknown[]): boolean {
      return super.write([`${this.#name}(${String(chunk)})`]);
    }
  }

  const named = (name: string, res: http.ServerResponse) => new Named(name, res);

  it('A response is plain with any number of layers, and not with a function of another policy', async () => {
    const plain: boolean[] = [];
    const tell = (res: http.ServerResponse) => void plain.push(hasOnlyLayers(res));
    const wrap = (res: http.ServerResponse) => {
      const { end } = res;
      res.end = ((...args: unknown[]) => Reflect.apply(end, res, args)) as typeof res.end;
    };
    const layered = (res: http.ServerResponse) => void named('a', res);
    for (const steps of [
      [tell, layered, tell, layered, tell],
      [wrap, tell, layered, tell],
      [layered, wrap, tell, layered, tell],
    ]) {
      await answer((res) => {
        for (const step of steps) step(res);
        res.end();
      });
    }
    expect(plain).to.deep.equal([true, true, true, false, false, false, false]);
  });

  it('A response layer stands inside what is wrapped around the response after it', async () => {
    const response = await answer((res) => {
      named('first', res);
      named('second', res);
      const { write } = res;
      res.write = (chunk: unknown) =>
        Reflect.apply(write, res, [`other(${String(chunk)})`]) as boolean;
      named('third', res);
      named('fourth', res);
      res.write('x');
      res.end();
    });
    expect(await response.text()).to.equal('first(second(other(third(fourth(x)))))');
  });

  it('A response layer returns false from write only where the layer below does', async () => {
    const asked: unknown[] = [];
    await answer((res) => {
      const { write } = res;
      let says: unknown;
      res.write = ((...args: unknown[]) => {
        Reflect.apply(write, res, args);
        return says;
      }) as typeof res.write;
      named('a', res);
      for (says of [undefined, true, false]) asked.push(res.write('x'));
      res.end();
    });
    expect(asked).to.deep.equal([true, true, false]);
  });

  it('Response layers wrap every response with the same functions', async () => {
    const functions: unknown[] = [];
    for (let count = 0; count < 2; count++) {
      await answer((res) => {
        named('a', res);
        named('b', res);
        functions.push(res.write);
        res.end();
      });
    }
    expect(functions[0]).to.equal(functions[1]);
  });

  it('A response layer can write past itself and all layers above', async () => {
    const response = await answer((res) => {
      const { below } = named('unsaid', res);
      below.write(['straight']);
      below.end([]);
    });
    expect(await response.text()).to.equal('straight');
  });

  describe('A layer that sees the head', () => {
    class Marking extends HeadLayer {
      seen: unknown[] = [];

      protected override beforeHead(): void {
        const { res } = this;
        this.seen.push([res.statusCode, res.getHeader('a'), res.getHeader('b')]);
        res.setHeader('marked', 'yes');
        if (res.statusCode === 203) res.statusCode = 202;
      }
    }

    const heads: readonly [string, number, unknown[]][] = [
      ['an object', 201, [201, { a: '1', b: '2' }]],
      [
        'a list of pairs',
        201,
        [
          201,
          [
            ['a', '1'],
            ['b', '2'],
          ],
        ],
      ],
      ['names and values by turns', 201, [201, ['a', '1', 'b', '2']]],
      ['an object behind a message', 201, [201, 'Made', { a: '1', b: '2' }]],
    ];
    for (const [title, status, args] of heads) {
      it(`A head layer sees all of a head that is given as ${title}`, async () => {
        let layer: Marking | null = null;
        const response = await answer((res) => {
          layer = new Marking(res);
          Reflect.apply(res.writeHead, res, args);
          res.end('x');
        });
        expect((layer as Marking | null)?.seen).to.deep.equal([[status, '1', '2']]);
        expect([response.status, response.headers.get('marked')]).to.deep.equal([status, 'yes']);
        expect([response.headers.get('a'), response.headers.get('b')]).to.deep.equal(['1', '2']);
        // Deno's server says what the status usually means.
        if (args[1] === 'Made' && !('Deno' in globalThis)) {
          expect(response.statusText).to.equal('Made');
        }
      });
    }

    it('A head layer keeps every value of a header name that comes several times', async () => {
      const response = await answer((res) => {
        res.setHeader('set-cookie', 'old=1');
        const layer = new Marking(res);
        res.writeHead(200, ['set-cookie', 'a=1', 'set-cookie', 'b=2']);
        expect(layer.seen).to.have.length(1);
        res.end();
      });
      expect(response.headers.getSetCookie()).to.deep.equal(['a=1', 'b=2']);
    });

    it('A head layer sees a head that Node writes by itself, and may change its status', async () => {
      const response = await answer((res) => {
        const layer = new Marking(res);
        res.statusCode = 203;
        res.setHeader('a', '1');
        res.end('x');
        expect(layer.seen).to.deep.equal([[203, '1', undefined]]);
      });
      expect([response.status, response.headers.get('marked')]).to.deep.equal([202, 'yes']);
    });
  });
});
