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

describe('the redis sink', () => {
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

  /** The numbers of the records in the stream. */
  async function numbers(): Promise<number[]> {
    const entries = await client.xrange(stream, '-', '+');
    return entries.map(([, [field, text = '']]) => {
      expect(field).to.equal('record');
      return Number((JSON.parse(text) as { id: string }).id.slice(7));
    });
  }

  it('adds one entry a record, in order, the record as JSON', async () => {
    const sink = open();
    add(sink, 0, 700);
    await sink.flush();
    expect(await numbers()).to.deep.equal(range(0, 700));
    const [first] = await client.xrange(stream, '-', '+', 'COUNT', 1);
    expect(JSON.parse(first?.[1][1] ?? '')).to.deep.equal(record(0));
    expect(sink.stats()).to.deep.equal({ dropped: 0, failures: 0 });
    expect(log.lines).to.deep.equal([]);
  });

  it('adds without being flushed', async () => {
    add(open(), 0, 3);
    await eventually(async () => (await numbers()).length === 3, 'they are there');
  });

  it('keeps the newest of as many as it is told, or a few more', async () => {
    const sink = open({ maxLength: 200 });
    add(sink, 0, 3000);
    await sink.flush();
    const left = await numbers();
    expect(left.length).to.be.within(200, 400);
    expect(left.at(-1)).to.equal(2999);
  });

  it('adds records with long names in several calls', async () => {
    const sink = open();
    const model = 'm'.repeat(400_000);
    for (let n = 0; n < 6; n++) sink.record({ ...record(n), model });
    await sink.flush();
    expect(await numbers()).to.deep.equal(range(0, 6));
  });

  it('keeps records while Redis is away, says so once, and adds them when it is there again', async () => {
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

  it('loses nothing to a frozen Redis, though a record may come twice', async () => {
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

  it('drops and counts the newest records past its bound', async () => {
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

  it('says once that records come too fast', async () => {
    const sink = open({ maxQueuedRecords: 2 });
    add(sink, 0, 5);
    expect(log.lines).to.have.length(1);
    await sink.flush();
    expect(log.lines[1]).to.include('3 records were dropped');
    expect(sink.stats()).to.deep.equal({ dropped: 3, failures: 0 });
  });

  it('bounds what waits in bytes as well', () => {
    const sink = open();
    const model = 'm'.repeat(6 * 1024 * 1024);
    for (let n = 0; n < 3; n++) sink.record({ ...record(n), model });
    expect(sink.stats().dropped).to.equal(1);
  });

  it('says why Redis refuses by its code alone, and goes on when it does not any more', async () => {
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

  it('says once at the end how many records are not in it', async () => {
    const sink = open({ maxQueuedRecords: 2 });
    await server.kill();
    add(sink, 0, 3);
    await sink.close();
    sink.flushSync();
    const last = log.lines.filter((line) => line.includes('at the end'));
    expect(last).to.have.length(1);
    expect(last[0]).to.include('3 records');
  });

  it('says nothing at the end when all are in it', async () => {
    const sink = open();
    add(sink, 0, 2);
    await sink.close();
    sink.flushSync();
    expect(log.lines).to.deep.equal([]);
    expect(await numbers()).to.deep.equal([0, 1]);
  });

  it('works with a logger that throws', async () => {
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
