import { expect } from 'chai';
import { holds, type SimulatedRequest } from '../../policies/admin/conditions.ts';
import { explain, type Explanation } from '../../policies/llm-cache/explain.ts';
import { differences, fingerprintOf } from '../../policies/llm-cache/fingerprint.ts';
import { Flights } from '../../policies/llm-cache/flights.ts';
import { type KeyMaterial, keyMaterial } from '../../policies/llm-cache/key.ts';
import { MemoryStore } from '../../policies/llm-cache/stores/memory.ts';
import type { Store } from '../../policies/llm-cache/stores/store.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { makeEntry } from '../support/entry.ts';
import { makeBody, makeRequest, type RequestParts } from '../support/llm-request.ts';

const digest = nodeDigest('a secret');
const now = 1_800_000_000_000;
const settingsOf = (action: Partial<LlmCacheSettings> = {}) =>
  validate<LlmCacheSettings>(llmCacheSchema, action, 'test');

function materialOf(parts: RequestParts, action: Partial<LlmCacheSettings> = {}) {
  const body = makeBody(parts.body ?? { model: 'gpt-4o', messages: [] });
  const settings = settingsOf(action);
  const facts = {
    namespace: null,
    isStream: JSON.stringify(parts.body ?? '').includes('"stream":true'),
  };
  const making = { settings, digest, forwardsHost: () => false };
  return keyMaterial(makeRequest(parts), { body, ...facts }, 'anonymous', making);
}

async function printOf(material: KeyMaterial, by = digest) {
  return fingerprintOf(material, await material.counting, by);
}

describe('A fingerprint', () => {
  const print = (parts: RequestParts) => printOf(materialOf(parts));
  const base = { model: 'm', messages: [{ role: 'user', content: 'a secret prompt' }] };

  it('A fingerprint tells the members in which two requests differ, and only those', async () => {
    const differ = async (one: unknown, other: unknown) =>
      differences(await print({ body: one }), await print({ body: other }));
    expect(await differ(base, { ...base })).to.deep.equal([]);
    expect(await differ(base, { ...base, temperature: 0 })).to.deep.equal(['temperature']);
    expect(await differ({ ...base, n: 1 }, { ...base, n: '1' })).to.deep.equal(['n']);
    expect(await differ(base, { ...base, messages: [], model: 'x' })).to.have.members([
      'model',
      'messages',
    ]);
    expect(await differ('{"a":1,"a":2}', '{"a":1,"a":3}')).to.deep.equal(['body']);
    expect(await differ({ ...base, __proto__: 1 }, base)).to.deep.equal([]);
    expect(await differ('{"__proto__":1}', '{}')).to.deep.equal(['__proto__']);
  });

  it('A fingerprint tells paths, queries, headers and stream modes apart', async () => {
    const parts: [RequestParts, string][] = [
      [{ path: '/v2/chat/completions' }, 'path'],
      [{ query: '?a=1' }, 'query'],
      [{ forwardedUrl: '/elsewhere' }, 'url'],
      [{ headers: { 'openai-beta': 'x' } }, 'header openai-beta'],
      [{ body: { ...base, stream: true } }, 'stream'],
    ];
    for (const [part, name] of parts) {
      const [one, other] = [await print({ body: base }), await print({ body: base, ...part })];
      expect(differences(one, other)).to.deep.equal([name]);
    }
  });

  it('A fingerprint is small and keyed, and shows nothing of the request', async () => {
    const text = JSON.stringify(await print({ body: base, query: '?key=of-ours' }));
    expect(text).to.not.contain('secret').and.to.not.contain('of-ours');
    expect(text.length).to.be.below(150);
    const elsewhere = await printOf(materialOf({ body: base }), nodeDigest('another'));
    expect(elsewhere['=model']).to.not.equal((await print({ body: base }))['=model']);
  });

  it('A fingerprint is bounded, whatever members the body has', async () => {
    const many = (last: number) =>
      Object.fromEntries(
        Array.from({ length: 1000 }, (_, at) => [`m${at}`.padEnd(300, 'x'), at === 999 ? last : 0]),
      );
    const [one, other] = [await print({ body: many(0) }), await print({ body: many(1) })];
    expect(JSON.stringify(one).length).to.be.below(8000);
    expect(differences(one, other)).to.deep.equal(['…']);
  });
});

describe('An explanation', () => {
  let store: MemoryStore;
  let flights: Flights;
  beforeEach(() => {
    store = new MemoryStore({ maxBytes: 10_000_000, now: () => now });
    flights = new Flights();
  });
  const ask = (
    parts: RequestParts = {},
    action: Partial<LlmCacheSettings> = {},
    from: Store = store,
  ) =>
    explain(makeRequest(parts), {
      store: from,
      flights,
      settings: settingsOf(action),
      digest,
      forwardsHost: () => false,
      now,
    });

  async function keep(parts: RequestParts, ageSeconds = 10): Promise<string> {
    const { key } = await ask(parts);
    const at = now - ageSeconds * 1000;
    const fingerprint = await printOf(materialOf(parts));
    await store.set(key ?? '', makeEntry(at, { fingerprint, expiresAt: now + 60_000 }));
    return key ?? '';
  }
  const verdict = ({ outcome, reason }: Explanation) => [outcome, reason];

  it('An explanation tells a hit, an entry too old for the client, and an expired one', async () => {
    await keep({}, 10);
    expect(await ask()).to.include({
      outcome: 'hit',
      rule: 'a fresh answer is stored under this key, 10 s old',
    });
    const maxAge = { headers: { 'cache-control': 'max-age=5' } };
    expect(verdict(await ask(maxAge))).to.deep.equal(['request', 'max-age']);
    await keep({}, 3700);
    expect(await ask()).to.include({
      outcome: 'miss',
      rule: 'the answer that is stored under this key expired 100 s ago',
    });
    expect((await ask({}, { staleIfError: 200 })).rule).to.contain('if the upstream fails');
  });

  it('An explanation tells that an identical request is under way', async () => {
    const { key } = await ask();
    flights.open(key ?? '', { isOpen: true } as never);
    expect(verdict(await ask())).to.deep.equal(['coalesced', null]);
    expect(verdict(await ask({}, { coalesce: false }))).to.deep.equal(['miss', null]);
  });

  it('An explanation tells that the store does not answer', async () => {
    const broken = { look: () => Promise.reject(new Error()) } as unknown as Store;
    expect(verdict(await ask({}, {}, broken))).to.deep.equal(['bypass', 'store-error']);
  });

  it('An explanation counts no hit and does not protect its entry from eviction', async () => {
    const of = (maxBytes: number) => new MemoryStore({ maxBytes, eviction: 'lru', now: () => now });
    store = of(3000);
    for (const model of ['first', 'third']) await keep({ body: { model } });
    store = of(store.stats().bytes + 10);
    const first = await keep({ body: { model: 'first' } });
    const second = await keep({ body: { model: 'second' } });
    await ask({ body: { model: 'first' } });
    expect((await store.look(first))?.hits).to.equal(0);
    expect(flights.joiners).to.equal(0);
    await keep({ body: { model: 'third' } });
    expect(await store.look(first)).to.equal(undefined);
    expect(await store.look(second)).to.not.equal(undefined);
  });

  it('An explanation has the five nearest entries, the nearest first, then the newest', async () => {
    const body = { model: 'm', messages: [], temperature: 0, seed: 1 };
    const far = await keep({ body: { model: 'x', input: 'y', top_p: 1 } });
    for (let seed = 2; seed < 8; seed++) await keep({ body: { ...body, seed } }, 10 + seed);
    const two = await keep({ body: { ...body, seed: 9, temperature: 1 } }, 1);
    const { nearest } = await ask({ body });
    expect(nearest.map(({ differs }) => differs)).to.deep.equal(
      Array.from({ length: 5 }, () => ['seed']),
    );
    expect(nearest.map(({ age }) => age)).to.deep.equal([12, 13, 14, 15, 16]);
    expect(nearest.map(({ key }) => key))
      .to.not.include(far)
      .and.to.not.include(two);
  });
});

describe('The condition of a step, outside of a request', () => {
  const simulated: SimulatedRequest = {
    request: {
      method: 'POST',
      url: '/v1/chat/completions?a=1',
      originalUrl: '/v1/chat/completions?a=1',
      headers: { host: 'api.example.com', 'cache-control': 'no-cache' },
    },
    isAuthenticated: false,
  };
  const unknown = { name: 'expression', expression: 'true' };
  const always = { name: 'always' };
  const never = { name: 'never' };
  const cases: [unknown, boolean | null][] = [
    [undefined, true],
    [always, true],
    [never, false],
    [{ name: 'llm-request' }, true],
    [{ name: 'llm-request', protocols: ['messages'] }, false],
    [{ name: 'llm-no-cache' }, true],
    [{ name: 'pathExact', path: '/v1/chat/completions?a=1' }, true],
    [{ name: 'pathMatch', pattern: '/messages' }, false],
    [{ name: 'method', methods: 'GET' }, false],
    [{ name: 'method', methods: ['GET', 'POST'] }, true],
    [{ name: 'hostMatch', pattern: '*.example.com' }, true],
    [{ name: 'authenticated' }, false],
    [{ name: 'anonymous' }, true],
    [unknown, null],
    [{ name: 'not', condition: never }, true],
    [{ name: 'not', condition: unknown }, null],
    [{ name: 'allOf', conditions: [always, { name: 'anonymous' }] }, true],
    [{ name: 'allOf', conditions: [unknown, never] }, false],
    [{ name: 'allOf', conditions: [unknown, always] }, null],
    [{ name: 'oneOf', conditions: [never, unknown, always] }, true],
    [{ name: 'oneOf', conditions: [never, unknown] }, null],
    [{ name: 'oneOf', conditions: [never] }, false],
  ];
  for (const [condition, expected] of cases) {
    const shown = { true: 'holds', false: 'does not hold', null: 'cannot be told' };
    it(`The condition ${JSON.stringify(condition)} ${shown[`${expected}`]} outside of a request`, () => {
      expect(holds(condition, simulated)).to.equal(expected);
    });
  }
});
