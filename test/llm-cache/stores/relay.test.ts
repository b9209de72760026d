import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { Encryption } from '../../../policies/llm-cache/stores/encryption.ts';
import type { RedisRelay } from '../../../policies/llm-cache/stores/redis-relay.ts';
import type { RelayTiming } from '../../../policies/llm-cache/stores/relay-timing.ts';
import type { CallOutcome, Lease } from '../../../policies/llm-cache/stores/relay.ts';
import type { Seal } from '../../../policies/llm-cache/stores/seal.ts';
import { Signature } from '../../../policies/llm-cache/stores/signature.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { eventually } from '../../support/eventually.ts';
import { hasRedis, RedisServer } from '../../support/redis-server.ts';
import { RedisStores } from '../../support/redis-stores.ts';

const head = { 'content-type': 'text/event-stream' };
const bytesOf = (text: string) => new TextEncoder().encode(text);
/** What follows is told soon, and given up soon. */
const hasty: Partial<RelayTiming> = {
  renewMs: 50,
  gatherMs: 1,
  pollMs: 5,
  retryMs: 10,
  patienceMs: 400,
  waitingMs: 200,
  leaderlessMs: 300,
};
const seals: readonly (readonly [string, Seal])[] = [
  ['signed', new Signature('secret')],
  ['encrypted', new Encryption([randomBytes(32).toString('base64')])],
];

/** A gateway that reads along, and what it was told. */
class Listener {
  text = '';
  headers: object | null = null;
  ending: CallOutcome['kind'] | null = null;
  outcome: CallOutcome | null = null;

  constructor(relay: RedisRelay, key = 'k') {
    relay.follow(key, {
      head: (headers) => (this.headers = headers),
      chunk: (bytes) => (this.text += new TextDecoder().decode(bytes)),
      end: (outcome) => {
        this.ending = outcome.kind;
        this.outcome = outcome;
      },
      fail: () => (this.ending = 'failed'),
    });
  }

  has(text: string): Promise<void> {
    return eventually(() => this.text === text || this.ending !== null, `it has ${text}`);
  }

  ended(): Promise<void> {
    return eventually(() => this.ending !== null, 'it has ended', 10_000);
  }
}

describe('A relayed call', () => {
  let server: RedisServer;
  let stores: RedisStores;
  let client: Redis;

  before(function () {
    if (!hasRedis()) this.skip();
  });
  beforeEach(async () => {
    server = await RedisServer.start();
    stores = new RedisStores(server.url);
    client = stores.client();
  });
  afterEach(async () => {
    server?.thaw();
    await stores?.close();
    await server?.close();
  });

  async function leased(relay: RedisRelay, key = 'k'): Promise<Lease> {
    const lease = await relay.lease(key);
    if (lease === null) throw new Error('the lease was not to be had');
    return lease;
  }
  const nameOf = async (kind: 'lease' | 'live') => (await client.keys(`test:${kind}:*`))[0] ?? '';

  for (const [what, seal] of seals) {
    it(`A relayed call reaches early and late followers as it is (${what})`, async () => {
      const lease = await leased(stores.relay({ seal }));
      const early = new Listener(stores.relay({ seal }));
      lease.head(head);
      lease.chunk(bytesOf('one '));
      await early.has('one ');
      expect([early.headers, early.ending]).to.deep.equal([head, null]);
      const late = new Listener(stores.relay({ seal }));
      await late.has('one ');
      lease.chunk(bytesOf('two'));
      await lease.end({ kind: 'stored', storedAt: 5 });
      for (const listener of [early, late]) {
        await listener.ended();
        expect([listener.text, listener.outcome]).to.deep.equal([
          'one two',
          { kind: 'stored', storedAt: 5 },
        ]);
      }
    });

    it(`A relayed call shows ${what === 'signed' ? 'bytes and headers' : 'nothing'} in Redis (${what})`, async () => {
      const lease = await leased(stores.relay({ seal }));
      lease.head({ 'content-type': 'text/event-stream; x=secret' });
      lease.chunk(bytesOf('secret'));
      await eventually(async () => (await client.xlen(await nameOf('live'))) === 2, 'published');
      const text = JSON.stringify(await client.xrange(await nameOf('live'), '-', '+'));
      expect(text.includes('secret')).to.equal(what === 'signed');
      await lease.end({ kind: 'failed' });
    });

    /** Frames of another hand, in place of those of a call that goes on. */
    type Frames = [string, Buffer[]][];
    const forgeries: Readonly<Record<string, (frames: Frames, others: Frames) => Frames>> = {
      'a frame comes twice': ([one, two, ...rest]) => [one, two, two, ...rest] as Frames,
      'a frame is missing': ([one, , ...rest]) => [one, ...rest] as Frames,
      'the last bytes are missing': (frames) => [...frames.slice(0, -2), ...frames.slice(-1)],
      'two frames have changed places': ([one, two, three, ...rest]) =>
        [one, three, two, ...rest] as Frames,
      'the head is missing': ([, ...rest]) => rest,
      'a frame comes from another call': ([one, , ...rest], [, other]) =>
        [one, other, ...rest] as Frames,
      'all frames come from another call': (_frames, others) => others,
      'a frame has a bit changed': (frames) =>
        withPart(frames, 1, ([kind, value]) => [kind, flipped(value)]),
      'a frame was cut': (frames) =>
        withPart(frames, 1, ([kind, value]) => [kind, value?.subarray(1)]),
      'a frame is empty': (frames) => withPart(frames, 1, ([kind]) => [kind, Buffer.alloc(0)]),
      'bytes are called the end': (frames) =>
        withPart(frames.slice(0, 2), 1, ([, value]) => [Buffer.from('end'), value]),
      'the end is called bytes': (frames) =>
        withPart(frames, frames.length - 1, ([, value]) => [Buffer.from('bytes'), value]),
      'a frame is of no known kind': (frames) =>
        withPart(frames, 1, ([, value]) => [Buffer.from('x'), value]),
      'a frame has more fields': (frames) =>
        withPart(frames, 1, (fields) => [...fields, Buffer.from('x'), Buffer.from('y')]),
      'a frame has too many bytes': (frames) =>
        withPart(frames, 1, ([kind]) => [kind, Buffer.alloc(100_000)]),
    };
    for (const [how, forge] of Object.entries(forgeries)) {
      it(`A relayed call never looks whole when ${how} (${what})`, async () => {
        const framesOf = async (key: string): Promise<[string, string, Frames]> => {
          const lease = await leased(stores.relay({ seal, timing: hasty }), key);
          const token = (await client.get(`test:lease:{${key}}`)) ?? '';
          lease.head(head);
          for (const [at, text] of ['one ', 'two ', 'three '].entries()) {
            lease.chunk(bytesOf(text));
            await eventually(
              async () => (await client.xlen(`test:live:{${key}}:${token}`)) === at + 2,
              'it is published',
            );
          }
          await lease.end({ kind: 'whole' });
          const live = `test:live:{${key}}:${token}`;
          return [token, live, (await client.xrangeBuffer(live, '-', '+')).map(asFrame)];
        };
        const [token, live, frames] = await framesOf('k');
        const [, , others] = await framesOf('other');
        expect(frames.length).to.equal(5);
        await client.del(live);
        let number = 0;
        for (const [, fields] of forge(frames, others)) {
          await client.call('XADD', live, `${++number}-0`, ...fields);
        }
        await client.set('test:lease:{k}', token, 'PX', 5000);
        const listener = new Listener(stores.relay({ seal, timing: hasty }));
        await listener.ended();
        expect(listener.ending).to.equal('failed');
      });
    }
  }

  it('A relayed call is not read under another key or another secret', async () => {
    const lease = await leased(stores.relay());
    lease.head(head);
    await eventually(async () => (await client.exists(await nameOf('live'))) === 1, 'published');
    const token = (await client.get('test:lease:{k}')) ?? '';
    const stranger = new Listener(stores.relay({ seal: new Signature('other') }));
    await stranger.ended();
    await client.set('test:lease:{m}', token, 'PX', 5000);
    await client.copy(`test:live:{k}:${token}`, `test:live:{m}:${token}`);
    const moved = new Listener(stores.relay(), 'm');
    await moved.ended();
    expect([stranger.ending, moved.ending]).to.deep.equal(['failed', 'failed']);
  });

  it('A relayed call outlasts a Redis that hesitates', async () => {
    const lease = await leased(stores.relay({ timeoutMs: 20 }));
    const listener = new Listener(stores.relay({ timeoutMs: 20 }));
    lease.head(head);
    lease.chunk(bytesOf('one '));
    await listener.has('one ');
    server.freeze();
    lease.chunk(bytesOf('two '));
    await eventually(
      () => stores.said.filter((text) => text.includes('does not answer')).length === 2,
      'both gateways have given Redis up',
    );
    lease.chunk(bytesOf('three '));
    const ended = lease.end({ kind: 'whole' });
    server.thaw();
    await listener.ended();
    await ended;
    expect([listener.text, listener.ending]).to.deep.equal(['one two three ', 'whole']);
  });

  for (const [how, trouble] of [
    ['is emptied', async () => client.flushall()],
    [
      'is started anew',
      async () => {
        await server.kill();
        await server.run();
      },
    ],
    ['has something else in place of its lease', async () => replaced('lease')],
    ['has something else in place of its stream', async () => replaced('live')],
  ] as const) {
    it(`A relayed call goes on where it was when Redis ${how}`, async () => {
      const lease = await leased(stores.relay({ timing: { renewMs: 50 } }));
      const listener = new Listener(stores.relay());
      lease.head(head);
      lease.chunk(bytesOf('one '));
      await listener.has('one ');
      await trouble();
      lease.chunk(bytesOf('two'));
      await lease.end({ kind: 'whole' });
      await listener.ended();
      expect([listener.text, listener.ending]).to.deep.equal(['one two', 'whole']);
    });
  }

  async function replaced(kind: 'lease' | 'live'): Promise<void> {
    const name = await nameOf(kind);
    await client.multi().del(name).lpush(name, 'x').exec();
  }

  it('A relayed call fails for its followers when Redis is lost for longer, and holds nothing', async () => {
    const budget = new ByteBudget(1_000_000);
    const lease = await leased(stores.relay({ budget, timeoutMs: 20, timing: hasty }));
    const reading = new Listener(stores.relay({ timeoutMs: 20, timing: hasty }));
    const waiting = new Listener(stores.relay({ timeoutMs: 20, timing: hasty }), 'other');
    await leased(stores.relay(), 'other');
    lease.head(head);
    lease.chunk(bytesOf('one '));
    await reading.has('one ');
    await server.kill();
    lease.chunk(bytesOf('two '));
    expect(budget.held).to.equal(4);
    await waiting.ended();
    await reading.ended();
    expect([waiting.ending, reading.ending, reading.text]).to.deep.equal([
      'failed',
      'failed',
      'one ',
    ]);
    await lease.end({ kind: 'whole' });
    expect(budget.held).to.equal(0);
  });

  it('A relayed call fails for its followers when the calling gateway is gone', async () => {
    const relay = stores.relay({ timing: { ...hasty, leaseMs: 200 } });
    const lease = await leased(relay);
    const listener = new Listener(stores.relay({ timing: hasty }));
    lease.head(head);
    lease.chunk(bytesOf('one '));
    await listener.has('one ');
    relay.close();
    await listener.ended();
    expect(listener.ending).to.equal('failed');
  });

  it('A relayed call is neither published nor followed once another gateway has its lease', async () => {
    const lease = await leased(stores.relay({ timing: { ...hasty, renewMs: 60_000 } }));
    const listener = new Listener(stores.relay({ timing: hasty }));
    lease.head(head);
    lease.chunk(bytesOf('one '));
    await listener.has('one ');
    const live = await nameOf('live');
    await client.del('test:lease:{k}');
    const other = await leased(stores.relay());
    lease.chunk(bytesOf('two '));
    await lease.end({ kind: 'whole' });
    await listener.ended();
    expect([listener.ending, listener.text]).to.deep.equal(['failed', 'one ']);
    expect(await client.xlen(live)).to.equal(2);
    // And the other's lease is still the other's.
    const next = new Listener(stores.relay());
    other.head(head);
    await eventually(() => next.headers !== null, 'it follows');
    await other.end({ kind: 'whole' });
    await next.ended();
    expect(next.ending).to.equal('whole');
  });

  for (const [what, put] of [
    ['is a list', async () => client.lpush('test:lease:{k}', 'x')],
    ['has no time to live', async () => client.set('test:lease:{k}', 'x')],
    ['lives too long', async () => client.set('test:lease:{k}', 'x', 'EX', 100_000)],
  ] as const) {
    it(`A relayed call gets its lease though the value in its place ${what}`, async () => {
      await put();
      const lease = await leased(stores.relay());
      expect(await stores.relay().lease('k')).to.equal(null);
      await lease.end({ kind: 'failed' });
      expect(await client.exists('test:lease:{k}')).to.equal(0);
    });
  }

  it('A relayed call is not followed where its lease holds no token', async () => {
    await client.set('test:lease:{k}', 'x'.repeat(1_000_000), 'PX', 4000);
    const listener = new Listener(stores.relay({ timing: hasty }));
    await listener.ended();
    expect(listener.ending).to.equal('failed');
    expect(await client.pttl('test:lease:{k}')).to.be.above(1000);
  });

  it('A relayed call that began hours ago by its own clock is not joined', async () => {
    const { now } = Date;
    const lease = await (async () => {
      Date.now = () => now() - 4_000_000;
      try {
        return await leased(stores.relay());
      } finally {
        Date.now = now;
      }
    })();
    const listener = new Listener(stores.relay());
    lease.head(head);
    lease.chunk(bytesOf('one '));
    await listener.ended();
    expect([listener.ending, listener.headers]).to.deep.equal(['failed', null]);
    await lease.end({ kind: 'whole' });
  });

  it('A relayed call leaves nothing in Redis for long', async () => {
    const lease = await leased(stores.relay({ timing: { renewMs: 20 } }));
    lease.head(head);
    await eventually(async () => (await client.dbsize()) === 2, 'lease and stream are there');
    await client.pexpire(await nameOf('live'), 500);
    await eventually(async () => (await client.pttl(await nameOf('live'))) > 1000, 'kept alive');
    for (const name of await client.keys('*')) {
      expect(await client.pttl(name), name).to.be.within(1, 20_000);
    }
    await lease.end({ kind: 'whole' });
    expect(await client.keys('*lease*')).to.deep.equal([]);
    expect(await client.pttl(await nameOf('live'))).to.be.within(1, 20_000);
  });

  it('A relayed call of single bytes is gathered into few frames', async () => {
    const lease = await leased(stores.relay());
    const listener = new Listener(stores.relay());
    lease.head(head);
    for (let at = 0; at < 200_000; at++) lease.chunk(Uint8Array.of(120));
    await lease.end({ kind: 'whole' });
    await listener.ended();
    expect([listener.ending, listener.text.length]).to.deep.equal(['whole', 200_000]);
    // Its head, four times 64 KiB, its end.
    expect(await client.xlen(await nameOf('live'))).to.be.below(20);
  });

  it('A relayed call keeps a bounded number of bytes, and is not joined by a gateway that would miss some', async () => {
    const lease = await leased(stores.relay({ timeoutMs: 2000 }));
    const early = new Listener(stores.relay({ timeoutMs: 2000 }));
    lease.head(head);
    const part = 'x'.repeat(1_000_000);
    for (let at = 1; at <= 30; at++) {
      lease.chunk(bytesOf(part));
      await eventually(() => early.text.length === at * part.length, 'it is read');
    }
    expect(await client.call('MEMORY', 'USAGE', await nameOf('live'))).to.be.below(20_000_000);
    const late = new Listener(stores.relay({ timeoutMs: 2000 }));
    await late.ended();
    expect([late.ending, late.text]).to.deep.equal(['failed', '']);
    await lease.end({ kind: 'whole' });
    await early.ended();
    expect(early.ending).to.equal('whole');
  });

  it('A relayed call is given up when too much waits, and nothing of it is held', async () => {
    const budget = new ByteBudget(100_000);
    const lease = await leased(stores.relay({ budget }));
    lease.head(head);
    server.freeze();
    lease.chunk(new Uint8Array(60_000));
    expect(budget.held).to.equal(60_000);
    lease.chunk(new Uint8Array(60_000));
    expect(budget.held).to.equal(0);
    const roomy = new ByteBudget(1e9);
    server.thaw();
    const other = await leased(stores.relay({ budget: roomy, timeoutMs: 2000 }), 'other');
    server.freeze();
    for (let at = 0; at < 100; at++) other.chunk(new Uint8Array(100_000));
    expect(roomy.held).to.equal(0);
  });

  it('A relayed call ends for its followers when their store is closed', async () => {
    const relay = stores.relay();
    await leased(stores.relay());
    const listener = new Listener(relay);
    relay.close();
    expect(listener.ending).to.equal('failed');
  });
});

function asFrame([id, fields]: [Buffer, Buffer[]]): [string, Buffer[]] {
  return [id.toString(), fields];
}

type Part = readonly [string, Buffer[]];

function withPart(
  frames: readonly Part[],
  at: number,
  change: (fields: Buffer[]) => (Buffer | undefined)[],
): [string, Buffer[]][] {
  return frames.map(([id, fields], index) => [
    id,
    index === at ? change(fields).filter((one) => one !== undefined) : fields,
  ]);
}

function flipped(value: Buffer | undefined): Buffer {
  const changed = Buffer.from(value ?? Buffer.alloc(0));
  changed[34] = (changed[34] ?? 0) ^ 1;
  return changed;
}
