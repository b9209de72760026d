import * as http from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { expect } from 'chai';
import { ChunkWriter } from '../../../policies/hosts/node/chunk-writer.ts';
import { eventually } from '../../support/eventually.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

describe('The writer of a shared stream', () => {
  let server: http.Server;
  let responses: http.ServerResponse[];
  const clients: Socket[] = [];

  beforeEach(async () => {
    responses = [];
    server = http.createServer((_req, res) => void responses.push(res));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
    server.close().closeAllConnections();
  });

  /** Sends requests on one connection. Returns what the client has received so far. */
  function ask(request: string): () => string {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    clients.push(client);
    let received = '';
    client.on('data', (bytes: Buffer) => (received += bytes.toString('latin1')));
    client.on('error', () => {});
    client.write(request);
    return () => received;
  }

  const get = (path = '/', version = '1.1') =>
    `GET ${path} HTTP/${version}\r\nHost: localhost\r\n\r\n`;
  const bodyIn = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);
  const responsesAre = (count: number) =>
    eventually(() => responses.length === count, `${count} responses are open`);

  /** Sends two requests on one connection. Returns both responses and what the client has received. */
  async function askTwice() {
    const received = ask(get('/first') + get('/second'));
    await responsesAre(2);
    const [first, second] = responses as [http.ServerResponse, http.ServerResponse];
    return { received, first, second };
  }

  it('A shared stream reaches each client in the chunks that Node itself would send', async () => {
    const clientsSee = [ask(get()), ask(get())];
    await responsesAre(2);
    const writers = responses.map((res) => new ChunkWriter(res, () => {}));
    for (const text of ['data: one\n\n', 'data: two\n\n', '', 'x'.repeat(70_000)]) {
      const bytes = bytesOf(text);
      for (const writer of writers) writer.write(bytes.subarray());
    }
    for (const res of responses) res.end();
    for (const received of clientsSee) {
      await eventually(() => received().endsWith('\r\n0\r\n\r\n'), 'the answer is whole');
      const large = `11170\r\n${'x'.repeat(70_000)}\r\n`;
      expect(bodyIn(received())).to.equal(
        `b\r\ndata: one\n\n\r\nb\r\ndata: two\n\n\r\n${large}0\r\n\r\n`,
      );
    }
  });

  it('A shared stream reaches an HTTP/1.0 client without chunks', async () => {
    const received = ask(get('/', '1.0'));
    await responsesAre(1);
    const [res] = responses as [http.ServerResponse];
    const writer = new ChunkWriter(res, () => {});
    writer.write(bytesOf('one'));
    writer.write(bytesOf('two'));
    res.end();
    await eventually(() => bodyIn(received()) === 'onetwo', 'the body is whole');
  });

  it('A shared stream waits for the response before it on its connection', async () => {
    const { received, first, second } = await askTwice();
    const writer = new ChunkWriter(second, () => {});
    writer.write(bytesOf('one'));
    writer.write(bytesOf('two'));
    first.end('first');
    await eventually(() => second.socket !== null, 'it is the second response’s turn');
    writer.write(bytesOf('three'));
    second.end();
    await eventually(() => received().endsWith('\r\n0\r\n\r\n'), 'the answer is whole');
    const answers = received().split('HTTP/1.1 200 OK');
    expect(bodyIn(answers[1] ?? '')).to.equal('first');
    expect(bodyIn(answers[2] ?? '')).to.equal('3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n');
  });

  it('A shared stream writes nothing more into a response that another handler has ended', async () => {
    const { received, first, second } = await askTwice();
    const writer = new ChunkWriter(first, () => {});
    writer.write(bytesOf('one'));
    writer.write(bytesOf('two'));
    first.end();
    expect(writer.write(bytesOf('three'))).to.equal(true);
    await eventually(() => second.socket !== null, 'it is the second response’s turn');
    expect(writer.write(bytesOf('four'))).to.equal(true);
    second.end('second');
    await eventually(() => received().endsWith('second'), 'the answer is whole');
    expect(received()).to.not.match(/three|four/);
  });

  it('A shared stream passes through a wrapper that another policy puts around the response midway', async () => {
    const received = ask(get());
    await responsesAre(1);
    const [res] = responses as [http.ServerResponse];
    const writer = new ChunkWriter(res, () => {});
    writer.write(bytesOf('one'));
    writer.write(bytesOf('two'));
    const { write } = res;
    res.write = ((chunk: Buffer) =>
      write.call(res, chunk.toString().toUpperCase(), 'utf8')) as typeof write;
    writer.write(bytesOf('three'));
    res.end();
    await eventually(() => received().endsWith('\r\n0\r\n\r\n'), 'the answer is whole');
    expect(bodyIn(received())).to.equal('3\r\none\r\n3\r\ntwo\r\n5\r\nTHREE\r\n0\r\n\r\n');
  });

  it('A shared stream asks for a pause until its client has read', async () => {
    ask(get());
    await responsesAre(1);
    const [res] = responses as [http.ServerResponse];
    let drained = 0;
    const writer = new ChunkWriter(res, () => drained++);
    writer.write(bytesOf('one'));
    const [client] = clients as [Socket];
    client.pause();
    const large = new Uint8Array(1_000_000);
    let isFlowing = true;
    for (let count = 0; isFlowing && count < 100; count++) isFlowing = writer.write(large);
    expect(isFlowing).to.equal(false);
    expect(drained).to.equal(0);
    client.resume();
    await eventually(() => drained > 0, 'the client has read');
    expect(writer.write(bytesOf('two'))).to.equal(true);
  });
});
