import { EventEmitter } from 'node:events';
import * as http from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { expect } from 'chai';
import { Carrier } from '../../../policies/hosts/node/carrier.ts';
import { ResponseEnd } from '../../../policies/hosts/node/response-end.ts';
import { guardOf } from '../../../policies/hosts/node/response-guard.ts';
import { HeadLayer } from '../../../policies/hosts/node/response-layer.ts';
import { tap } from '../../../policies/hosts/node/tap.ts';
import { UpstreamCall } from '../../../policies/hosts/node/upstream-call.ts';
import { FaultLog } from '../../../policies/shared/faults.ts';
import { eventually } from '../../support/eventually.ts';

/** Writes down when a response is written to its end. */
class Ends extends HeadLayer {
  readonly #said: string[];

  static of(res: http.ServerResponse, said: string[]): Ends {
    return new Ends(res, said);
  }

  private constructor(res: http.ServerResponse, said: string[]) {
    super(res);
    this.#said = said;
  }

  protected override beforeHead(): void {}

  override end(args: unknown[]): void {
    super.end(args);
    this.#said.push('written');
  }
}

describe('What a carrier receives in one turn', () => {
  let server: http.Server;
  let said: string[];
  /** Other responses under way, for which a lone one would not wait. */
  const idle: http.ServerResponse[] = [];
  const faults = new FaultLog({ info() {}, warn() {}, error: (text) => void said.push(text) });

  beforeEach(async () => {
    said = [];
    server = http.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    idle.push((await carried()).res);
  });
  afterEach(() => {
    for (const res of idle.splice(0)) res.destroy();
    server.close().closeAllConnections();
  });

  /** Opens a response, and returns it with a message that is piped into it, and what its client got. */
  async function carried() {
    const { port } = server.address() as AddressInfo;
    const client = new Socket();
    let received = '';
    client.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
    client.on('error', () => {});
    const arrived = new Promise<[http.IncomingMessage, http.ServerResponse]>((resolve) => {
      server.once('request', (req, res) => resolve([req, res]));
    });
    client.connect(port, '127.0.0.1').write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [plain, res] = await arrived;
    const req = Object.assign(plain, { originalUrl: '/' });
    const end = new ResponseEnd(req, res);
    const guard = guardOf(req, res, faults);
    const carrier = Carrier.of(res, (then) => end.when(then)) as Carrier;
    const call = new UpstreamCall(req, res, { end, guard });
    Ends.of(res, said);
    const observer = {
      isDone: false,
      head() {},
      chunk: (bytes: Uint8Array) => void said.push(Buffer.from(bytes).toString()),
      end: () => void said.push('read'),
      abort: (reason: string) => void said.push(reason),
    };
    tap({ res, call, observer, faults });
    const upstream = new EventEmitter() as http.ClientRequest;
    carrier.follow(upstream);
    const message = Object.assign(new http.IncomingMessage(new Socket()), { statusCode: 200 });
    upstream.emit('response', message);
    message.pipe(res);
    return { res, message, got: () => received };
  }

  it('Answers that end in one turn are all written before one of them is read', async () => {
    const answers = [await carried(), await carried()];
    for (const { message } of answers) {
      message.push('answer');
      message.push(null);
    }
    await eventually(() => said.filter((text) => text === 'read').length === 2, 'both are read');
    expect(said.filter((text) => text !== 'answer')).to.deep.equal([
      'written',
      'written',
      'read',
      'read',
    ]);
    for (const { got } of answers) await eventually(() => got().includes('answer'), 'it is there');
  });

  it('Bytes reach the client although the message breaks off in the turn of their arrival', async () => {
    const { message, got } = await carried();
    message.push('one');
    message.once('data', () => message.destroy());
    await eventually(() => said.includes('aborted'), 'the answer is cut');
    await eventually(() => got().includes('\r\n3\r\none\r\n'), 'the bytes are there');
    expect(said).to.deep.equal(['one', 'aborted']);
    expect(got()).to.not.include('\r\n0\r\n');
  });

  it('An answer is whole although its client leaves in the turn of its end', async () => {
    const { res, message } = await carried();
    message.push('one');
    message.push(null);
    message.once('end', () => res.destroy());
    await eventually(() => said.includes('read'), 'the answer is read');
    expect(said).to.deep.equal(['written', 'one', 'read']);
  });

  it('An answer is cut if its client leaves in the turn of its beginning', async () => {
    const { res, message } = await carried();
    message.push('one');
    message.once('data', () => res.destroy());
    await eventually(() => said.includes('client-left'), 'the answer is cut');
    expect(said).to.deep.equal(['one', 'client-left']);
    expect(message.destroyed).to.equal(true);
  });

  it('Bytes go out in their order when another handler writes in the turn of their arrival', async () => {
    const { res, message, got } = await carried();
    message.push('one');
    await new Promise<void>((resolve) => {
      message.once('data', () => {
        message.unpipe(res);
        res.end('two');
        resolve();
      });
    });
    await eventually(() => got().includes('\r\n0\r\n'), 'the answer is whole');
    expect(got()).to.include('3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n');
  });

  it('Small pieces of one turn are written as one, in their order', async () => {
    const { message, got } = await carried();
    for (const piece of ['one', 'two', 'three']) message.push(piece);
    await eventually(() => got().includes('three'), 'the pieces are there');
    expect(got()).to.include('\r\nb\r\nonetwothree\r\n');
    message.push('four');
    message.push(null);
    await eventually(() => got().includes('\r\n0\r\n'), 'the answer is whole');
    expect(got()).to.include('three\r\n4\r\nfour\r\n0\r\n\r\n');
  });

  it('A lone answer is written as it arrives', async () => {
    for (const res of idle.splice(0)) {
      res.destroy();
      await new Promise((resolve) => res.once('close', resolve));
    }
    const { res, message, got } = await carried();
    message.push('one');
    await new Promise<void>((resolve) => {
      message.once('data', () => {
        expect(res.headersSent).to.equal(true);
        resolve();
      });
    });
    message.push(null);
    await eventually(() => got().includes('3\r\none\r\n0\r\n'), 'the answer is whole');
  });

  it('Large pieces of one turn are written one by one, in their order', async () => {
    const { message, got } = await carried();
    for (const letter of ['a', 'b']) message.push(letter.repeat(10_000));
    message.push(null);
    await eventually(() => got().includes('\r\n0\r\n'), 'the answer is whole');
    const frames = ['a', 'b'].map((letter) => `2710\r\n${letter.repeat(10_000)}\r\n`);
    expect(got()).to.include(`${frames.join('')}0\r\n\r\n`);
  });
});
