import { expect } from 'chai';
import { noControls } from '../../../policies/llm-cache/client-controls.ts';
import type { Item } from '../../../policies/llm-cache/items/items.ts';
import { findItems } from '../../../policies/llm-cache/items/stored-items.ts';
import { MapStore } from '../../../policies/llm-cache/stores/map.ts';
import { embeddingItems } from '../../../policies/shared/protocols/embedding-items.ts';
import { makeEntry } from '../../support/entry.ts';

const now = 1_700_000_000_000;
const encode = (value: object) => new TextEncoder().encode(JSON.stringify(value));

/** A store with one vector for each of so many inputs, each answer of `bytes`. */
async function stored(count: number, bytes: number) {
  const store = new MapStore({ maxBytes: 64 * 1024 * 1024, now: () => now });
  const keys = Array.from({ length: count }, (_, at) => `api:anonymous:${at}`);
  for (const key of keys) {
    const answer = { model: 'm', data: [{ index: 0, embedding: [1, 2] }], pad: '' };
    answer.pad = ' '.repeat(bytes - encode(answer).length);
    await store.set(key, makeEntry(now, { protocol: 'embeddings', body: encode(answer) }));
  }
  const asked = keys.map((key, at) => ({ key, at, weight: 1 }) as Item);
  const list = { weights: [], one: () => encode({}), some: () => encode({}) };
  return { store, items: { rules: embeddingItems, list, asked, isPart: false } };
}

describe('The stored answers to the inputs of a request', () => {
  it('The stored answers to inputs are all found, however many there are', async () => {
    const { store, items } = await stored(1000, 200);
    const found = await findItems(items, {
      store,
      controls: noControls,
      now,
      maxBytes: 200_000,
    });
    expect(found?.size).to.equal(1000);
  });

  it('The stored answers to inputs are looked for no further once they are larger than an answer may be', async () => {
    const { store, items } = await stored(1000, 10_000);
    let asked = 0;
    const counting = Object.create(store, {
      get: { value: (key: string) => (asked++, store.get(key)) },
    }) as MapStore;
    const finding = { store: counting, controls: noControls, now, maxBytes: 200_000 };
    expect(await findItems(items, finding)).to.equal(null);
    expect(asked).to.equal(200);
  });

  it('The stored answers to inputs are asked for a few at a time', async () => {
    const { store, items } = await stored(1000, 200);
    let [waiting, most] = [0, 0];
    const counting = Object.create(store, {
      get: {
        value: async (key: string) => {
          most = Math.max(most, ++waiting);
          const found = await store.get(key);
          waiting--;
          return found;
        },
      },
    }) as MapStore;
    await findItems(items, { store: counting, controls: noControls, now, maxBytes: 200_000 });
    expect(most).to.equal(200);
  });
});
