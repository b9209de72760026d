import { expect } from 'chai';
import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { llmCacheSchema } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { countServed, type Decision, type Forward } from '../../policies/llm-cache/decision.ts';
import { Engine } from '../../policies/llm-cache/engine.ts';
import { Flights } from '../../policies/llm-cache/flights.ts';
import { CacheStats, type Tally } from '../../policies/llm-cache/stats.ts';
import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import { NoRoom, type Store } from '../../policies/llm-cache/stores/store.ts';
import { ByteBudget } from '../../policies/shared/bytes/budget.ts';
import { FaultLog } from '../../policies/shared/faults.ts';
import { SharedBodies } from '../../policies/shared/bytes/shared-bodies.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import { answers } from '../support/answers.ts';
import { makeEntry } from '../support/entry.ts';
import { makeRequest, type RequestParts } from '../support/llm-request.ts';

const broken: Store = {
  get: () => Promise.reject(new Error('a prompt, maybe')),
  set: () => Promise.reject(new Error('a prompt, maybe')),
  delete: () => Promise.reject(new Error()),
  purge: () => Promise.reject(new Error()),
  list: () => Promise.reject(new Error()),
  look: () => Promise.reject(new Error()),
  used: () => {},
  stats: () => ({
    type: 'broken',
    entries: 0,
    bytes: 0,
    maxBytes: null,
    evictions: 0,
    errors: 0,
    droppedWrites: 0,
    healthy: false,
  }),
  close: async () => {},
};

describe('The engine', () => {
  let said: string[];
  let stats: CacheStats;
  let tally: Tally;
  let budget: ByteBudget;
  beforeEach(() => {
    said = [];
    whenOver = [];
    stats = new CacheStats();
    tally = stats.of('p', 'chat');
    budget = new ByteBudget(1_000_000);
  });

  function engineOn(
    store: Store,
    action: Partial<LlmCacheSettings> = {},
    now: () => number = Date.now,
  ): Engine {
    const log = { info: () => {}, warn: () => {}, error: (text: string) => void said.push(text) };
    return new Engine({
      store,
      flights: new Flights(),
      settings: validate<LlmCacheSettings>(llmCacheSchema, action, 'test'),
      digest: nodeDigest('secret'),
      forwardsHost: () => false,
      reserve: new ByteBudget(0),
      bodies: new SharedBodies(budget),
      timings: { lookup() {}, store() {}, firstByte() {} },
      faults: new FaultLog(log),
      now,
    });
  }
  /** Those who wait for an exchange to be over. */
  let whenOver: (() => void)[];
  const asking = (parts: RequestParts = {}) =>
    makeRequest({ account: budget, whenOver: (then) => void whenOver.push(then), ...parts });
  const allOver = () => {
    for (const then of whenOver.splice(0)) then();
  };
  /** The upstream's answer to a request that was forwarded. */
  async function answer(decision: Decision, text = answers.chat.json, status = 200): Promise<void> {
    const { flight } = decision as Forward;
    flight?.head(status, (name) => (name === 'content-type' ? 'application/json' : undefined));
    flight?.chunk(new TextEncoder().encode(text));
    flight?.end();
    await new Promise((resolve) => setImmediate(resolve));
  }

  it('The engine takes a failing read of a store for a bypass, and logs it once', async () => {
    const engine = engineOn(broken);
    for (const _ of [1, 2, 3]) {
      const decision = await engine.decide(makeRequest(), tally);
      expect(decision).to.include({ kind: 'bypass', reason: 'store-error', fallback: null });
      await answer(decision);
    }
    expect(stats.pipelines()['p']).to.deep.include({ requests: 3, reasons: { 'store-error': 3 } });
    expect(said.length).to.equal(2);
    expect(said[0]).to.include('the store failed');
    expect(said[1]).to.include('an answer could not be stored');
    expect(said.join()).to.not.contain('prompt');
  });

  it('The engine lets identical requests share one call though the store fails', async () => {
    const engine = engineOn(broken);
    const leader = await engine.decide(makeRequest(), tally);
    const others = [engine.decide(makeRequest(), tally), engine.decide(makeRequest(), tally)];
    await answer(leader);
    for (const other of await Promise.all(others.map(async (one) => one)))
      expect(other.kind).to.equal('joined');
  });

  it('The engine counts a failing write of a store as an answer not stored', async () => {
    const engine = engineOn({ ...broken, get: async () => undefined });
    await answer(await engine.decide(makeRequest(), tally));
    expect(stats.pipelines()['p']?.notStored).to.deep.equal({ 'store-error': 1 });
    expect(said.length).to.equal(1);
  });

  it('The engine counts an answer that the store cannot hold as too-large', async () => {
    const engine = engineOn(new MemoryStore({ maxBytes: 1024 }));
    await answer(await engine.decide(makeRequest(), tally));
    expect(stats.pipelines()['p']?.notStored).to.deep.equal({ 'too-large': 1 });
  });

  it('The engine takes a request that cannot be read for a bypass', async () => {
    const engine = engineOn(new MemoryStore({ maxBytes: 10_000 }));
    const failing = makeRequest();
    Object.assign(failing, { body: () => Promise.reject(new Error('no')) });
    expect(await engine.decide(failing, tally)).to.include({
      kind: 'bypass',
      reason: 'store-error',
    });
  });

  it('The engine does nothing for a client that has left', async () => {
    const engine = engineOn(new MemoryStore({ maxBytes: 10_000 }));
    expect(await engine.decide(makeRequest({ noBody: 'gone' }), tally)).to.deep.equal({
      kind: 'gone',
    });
    expect(stats.pipelines()['p']?.requests).to.equal(0);
  });

  it('The engine holds nothing of an answer that has ended, and counts each outcome', async () => {
    const engine = engineOn(new MemoryStore({ maxBytes: 100_000 }));
    await answer(await engine.decide(makeRequest(), tally));
    await answer(
      await engine.decide(makeRequest({ body: { model: 'b' } }), tally),
      '{"error":{}}',
      500,
    );
    const hit = await engine.decide(asking(), tally);
    expect(hit).to.include({ kind: 'hit', age: 0, ttl: 3600 });
    countServed(hit, tally);
    allOver();
    expect(budget.held).to.equal(0);
    expect(stats.pipelines()['p']).to.deep.equal({
      requests: 3,
      outcomes: { hit: 1, miss: 2, coalesced: 0, stale: 0, request: 0, bypass: 0 },
      reasons: {},
      notStored: { status: 1 },
    });
  });

  it('The engine stores no answer that it has no room to hold meanwhile', async () => {
    budget.max = 100;
    const engine = engineOn(new MemoryStore({ maxBytes: 100_000 }));
    await answer(await engine.decide(makeRequest({ account: budget }), tally));
    expect(stats.pipelines()['p']?.notStored).to.deep.equal({ 'buffer-limit': 1 });
    expect(budget.held).to.equal(0);
  });

  describe('A clock that is set back or forth', () => {
    const hour = 3_600_000;
    let time: number;
    let engine: Engine;
    let store: MemoryStore;
    beforeEach(() => {
      time = Date.parse('2026-01-31T12:00:00Z');
      store = new MemoryStore({ maxBytes: 100_000, now: () => time });
      engine = engineOn(store, { ttl: 3600 }, () => time);
    });
    const decide = async () => (await engine.decide(makeRequest(), tally)).kind;
    const ask = async () => {
      const decision = await engine.decide(makeRequest(), tally);
      if (decision.kind !== 'hit') await answer(decision);
      return decision.kind;
    };

    it('The engine makes a new call where an entry is from the future, and keeps the fresh answer instead', async () => {
      await ask();
      time -= hour;
      expect(await ask()).to.equal('stale');
      expect(await engine.decide(makeRequest(), tally)).to.include({
        kind: 'hit',
        age: 0,
        ttl: 3600,
      });
      time += hour;
      expect(await decide()).to.equal('stale');
    });

    it('The engine takes an entry from a clock a little ahead for a new one', async () => {
      await ask();
      time -= 50_000;
      expect(await engine.decide(makeRequest(), tally)).to.include({
        kind: 'hit',
        age: 0,
        ttl: 3600,
      });
    });

    it('The engine uses no entry from the future when the upstream fails', async () => {
      await ask();
      time -= hour;
      expect(await engine.decide(makeRequest(), tally)).to.include({
        kind: 'stale',
        fallback: null,
      });
    });

    it('The engine stores again after a purge, however far the clock goes back', async () => {
      await ask();
      await store.purge({});
      time -= hour;
      await ask();
      expect(await decide()).to.equal('hit');
    });

    it('The engine stores no answer asked for before a purge, however far the clock goes forward', async () => {
      const underWay = await engine.decide(makeRequest(), tally);
      await store.purge({});
      time += hour;
      await answer(underWay);
      expect(await decide()).to.equal('miss');
    });
  });

  it('The engine charges a stored answer once, until its last reader has it', async () => {
    const engine = engineOn(new MemoryStore({ maxBytes: 100_000 }));
    await answer(await engine.decide(asking(), tally));
    for (const _ of [1, 2, 3]) {
      expect((await engine.decide(asking(), tally)).kind).to.equal('hit');
      expect(budget.held).to.equal(answers.chat.json.length);
    }
    const [first, ...others] = whenOver.splice(0);
    for (const over of others) over();
    expect(budget.held).to.equal(answers.chat.json.length);
    first?.();
    expect(budget.held).to.equal(0);
  });

  it('The engine stands aside where there is no room for a stored answer in delivery', async () => {
    const store = new MemoryStore({ maxBytes: 100_000 });
    const engine = engineOn(store);
    await answer(await engine.decide(asking(), tally));
    budget.max = answers.chat.json.length - 1;
    const aside = { kind: 'bypass', reason: 'buffer-limit', fallback: null, flight: null };
    expect(await engine.decide(asking(), tally)).to.include(aside);
    const full = engineOn({ ...broken, get: () => Promise.reject(new NoRoom()) });
    expect(await full.decide(asking(), tally)).to.include(aside);
    expect([said, budget.held]).to.deep.equal([[], 0]);
  });

  it('The engine charges a fallback entry as long as it may be needed', async () => {
    const store = new MemoryStore({ maxBytes: 100_000 });
    const key = (await engineOn(store).decide(asking(), tally)) as Forward;
    const body = new Uint8Array(5000);
    const old = makeEntry(Date.now() - 10_000, { freshUntil: Date.now() - 5000, body });
    await store.set(key.key ?? '', old, 0);
    const engine = engineOn(store, { staleIfError: 3600 });
    const decision = await engine.decide(asking(), tally);
    expect(decision).to.include({ kind: 'stale' });
    expect((decision as Forward).fallback).to.include({ storedAt: old.storedAt });
    expect(budget.held).to.equal(5000);
    allOver();
    expect(budget.held).to.equal(0);
    budget.max = 4999;
    const bare = await engineOn(store, { staleIfError: 3600 }).decide(asking(), tally);
    expect(bare).to.include({ kind: 'stale', fallback: null });
  });
});
