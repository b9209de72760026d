import { expect } from 'chai';
import { Redis } from 'ioredis';
import { RedisSink } from '../../../policies/llm-usage/sinks/redis.ts';
import { RedisConnection } from '../../../policies/shared/redis/connection.ts';
import { keptLog, quietLog, record } from '../../support/sinks-records.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';

const stream = 'test:records';

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n);
}

describe('The redis sink', () => {
  let server: RedisServer;
  let client: Redis;
  let log: ReturnType<typeof keptLog>;
  let opened: RedisSink[];

  before(function () {
    if (!hasRedis()) this.skip();
  });
  beforeEach(async () => {
    log = keptLog();
    opened = [];
    server = await RedisServer.start();
    client = new Redis(server.url);
    client.on('error', () => {});
  });
  afterEach(async () => {
    server?.thaw();
    client?.disconnect();
    for (const sink of opened ?? []) await sink.close();
    await server?.close();
  });

  function open(parts: { maxLength?: number; maxQueuedRecords?: number } = {}): RedisSink {
    const subject = 'llm-usage: sink "redis"';
    const { url } = server;
    const own = { subject, url, options: {}, timeoutMs: 1000, log: quietLog };
    const connection = new RedisConnection(own);
    const sink = new RedisSink({ connection, stream, maxLength: 100_000, log, ...parts });
    opened.push(sink);
    return sink;
  }

  function add(sink: RedisSink, from: number, to: number): void {
    for (let n = from; n < to; n++) sink.record(record(n));
  }

  /** Returns the numbers of the records in the stream. */
  async function numbers(): Promise<number[]> {
    const entries = await client.xrange(stream, '-', '+');
    return entries.map(([, [field, text = '']]) => {
      expect(field).to.equal('record');
      return Number((JSON.parse(text) as { id: string }).id.slice(7));
    });
  }

  it('The redis sink adds one entry per record, in order, as JSON', async () => {
    const sink = open();
    add(sink, 0, 700);
    await sink.flush();
    expect(await numbers()).to.deep.equal(range(0, 700));
    const [first] = await client.xrange(stream, '-', '+', 'COUNT', 1);
    expect(JSON.parse(first?.[1][1] ?? '')).to.deep.equal(record(0));
    expect(sink.stats()).to.deep.equal({ dropped: 0, failures: 0 });
    expect(log.lines).to.deep.equal([]);
  });

  it('The redis sink adds records without being flushed', async () => {
    add(open(), 0, 3);
    await eventually(async () => (await numbers()).length === 3, 'they are there');
  });

  it('The redis sink keeps about maxLength of the newest records', async () => {
    const sink = open({ maxLength: 200 });
    add(sink, 0, 3000);
    await sink.flush();
    const left = await numbers();
    expect(left.length).to.be.within(200, 400);
    expect(left.at(-1)).to.equal(2999);
  });

  it('The redis sink adds records with long names in several calls', async () => {
    const sink = open();
    const model = 'm'.repeat(400_000);
    for (let n = 0; n < 6; n++) sink.record({ ...record(n), model });
    await sink.flush();
    expect(await numbers()).to.deep.equal(range(0, 6));
  });

  it('The redis sink keeps records while Redis is down, logs it once, and adds them afterwards', async () => {
    const sink = open();
    add(sink, 0, 1);
    await sink.flush();
    await server.kill();
    add(sink, 1, 3);
    await sink.flush();
    add(sink, 3, 5);
    await sink.flush();
    expect(sink.stats()).to.deep.equal({ dropped: 0, failures: 2 });
    expect(log.lines).to.have.length(1);
    await server.run();
    await eventually(() => log.lines.length > 1, 'a word that it works again');
    expect(await numbers()).to.deep.equal(range(1, 5));
    expect(log.lines[1]).to.include('0 records were dropped');
  });

  it('The redis sink loses nothing to a frozen Redis, though a record may come twice', async () => {
    const sink = open();
    add(sink, 0, 1);
    await sink.flush();
    server.freeze();
    add(sink, 1, 4);
    await sink.flush();
    server.thaw();
    await eventually(() => log.lines.length > 1, 'a word that it works again');
    const unique = [...new Set(await numbers())];
    expect(unique.toSorted((a, b) => a - b)).to.deep.equal(range(0, 4));
  });

  it('The redis sink drops and counts the newest records past its bound', async () => {
    const sink = open({ maxQueuedRecords: 3 });
    await sink.flush();
    await server.kill();
    add(sink, 0, 2);
    await sink.flush();
    add(sink, 2, 6);
    expect(sink.stats().dropped).to.equal(3);
    await server.run();
    await eventually(() => log.lines.length > 1, 'a word that it works again');
    expect(await numbers()).to.deep.equal([0, 1, 2]);
    expect(log.lines[1]).to.include(' 3 records were dropped');
  });

  it('The redis sink logs once that records come too fast', async () => {
    const sink = open({ maxQueuedRecords: 2 });
    add(sink, 0, 5);
    expect(log.lines).to.have.length(1);
    await sink.flush();
    expect(log.lines[1]).to.include('3 records were dropped');
    expect(sink.stats()).to.deep.equal({ dropped: 3, failures: 0 });
  });

  it('The redis sink bounds the waiting bytes as well as the records', () => {
    const sink = open();
    const model = 'm'.repeat(6 * 1024 * 1024);
    for (let n = 0; n < 3; n++) sink.record({ ...record(n), model });
    expect(sink.stats().dropped).to.equal(1);
  });

  it('The redis sink logs a refusal by its code alone, and goes on when it is over', async () => {
    await client.set(stream, 'no stream');
    const sink = open();
    add(sink, 0, 2);
    await sink.flush();
    expect(log.lines).to.have.length(1);
    expect(log.lines[0]).to.include('WRONGTYPE').and.not.include('gpt-4o');
    expect(log.lines[0]).not.to.include('record-');
    await client.del(stream);
    await sink.flush();
    expect(await numbers()).to.deep.equal([0, 1]);
  });

  it('The redis sink logs once at its end how many records it lost', async () => {
    const sink = open({ maxQueuedRecords: 2 });
    await server.kill();
    add(sink, 0, 3);
    await sink.close();
    sink.flushSync();
    const last = log.lines.filter((line) => line.includes('at exit'));
    expect(last).to.have.length(1);
    expect(last[0]).to.include('3 records');
  });

  it('The redis sink logs nothing at its end when all records are added', async () => {
    const sink = open();
    add(sink, 0, 2);
    await sink.close();
    sink.flushSync();
    expect(log.lines).to.deep.equal([]);
    expect(await numbers()).to.deep.equal([0, 1]);
  });

  it('The redis sink works with a logger that throws', async () => {
    const fail = () => {
      throw new Error('the transport is closed');
    };
    Object.assign(log, { warn: fail, error: fail });
    const sink = open({ maxQueuedRecords: 1 });
    await server.kill();
    add(sink, 0, 3);
    await sink.close();
    expect(sink.stats().failures).to.equal(1);
  });
});
