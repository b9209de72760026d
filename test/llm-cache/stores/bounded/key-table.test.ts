import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  type Bucket,
  type Buckets,
  KeyTable,
} from '../../../../policies/llm-cache/stores/bounded/key-table.ts';

class InMap implements Buckets {
  readonly all = new Map<number, Bucket>();
  readonly find = (number: number) => this.all.get(number);
  readonly put = (number: number, bucket: Bucket) => void this.all.set(number, bucket);
  readonly remove = (number: number) => void this.all.delete(number);
  readonly clear = () => this.all.clear();
}

function open(maxBytes: number) {
  const buckets = new InMap();
  const keys: string[] = [];
  const table = new KeyTable(buckets, maxBytes, (entry) => keys[entry] ?? '');
  return { buckets, keys, table };
}

describe('A table of keys', () => {
  it('A table of keys finds what was added and not removed, however many keys share a hash or a bucket', () => {
    const key = fc.nat(40).map((number) => `key ${number}`);
    const step = fc.record({ do: fc.constantFrom('add', 'add', 'remove'), key });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.constantFrom(1, 3, 2 ** 32 - 1),
        fc.constantFrom(1000, 400_000),
        (steps, hashes, maxBytes) => {
          const { buckets, keys, table } = open(maxBytes);
          const hashOf = (name: string) => (Number(name.slice(4)) * 2_654_435_761) % hashes;
          const model = new Map<string, number>();
          for (const { do: what, key: name } of steps) {
            const known = model.get(name);
            if (what === 'add' && known === undefined) {
              const entry = keys.push(name) - 1;
              table.add(hashOf(name), entry);
              model.set(name, entry);
            } else if (what === 'remove' && known !== undefined) {
              table.remove(hashOf(name), known);
              model.delete(name);
            }
            for (const [each, entry] of model) {
              expect(table.find(each, hashOf(each))).to.equal(entry);
            }
            expect(table.find(name, hashOf(name))).to.equal(model.get(name));
          }
          for (const [each, entry] of model) table.remove(hashOf(each), entry);
          expect([buckets.all.size, table.bytes]).to.deep.equal([0, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('A table of keys takes no more than it says, and gives back what many removed keys have taken', () => {
    const { buckets, keys, table } = open(2 ** 24);
    const hashOf = (entry: number) => Math.imul(entry, 0x9e3779b1) >>> 0;
    for (let entry = 0; entry < 20_000; entry++) {
      keys.push(`key ${entry}`);
      table.add(hashOf(entry), entry);
    }
    const held = () =>
      [...buckets.all.values()].reduce((sum, { byteLength }) => sum + byteLength + 300, 0);
    expect(table.bytes).to.equal(buckets.all.size * KeyTable.bytesOfBucket);
    expect(held()).to.be.at.most(table.bytes + 20_000 * KeyTable.bytesEach);
    for (let entry = 0; entry < 19_000; entry++) table.remove(hashOf(entry), entry);
    expect(held()).to.be.at.most(table.bytes + 1000 * 4 * KeyTable.bytesEach);
    for (let entry = 19_000; entry < 20_000; entry++) {
      expect(table.find(`key ${entry}`, hashOf(entry))).to.equal(entry);
    }
    table.clear();
    expect([table.bytes, table.find('key 19500', hashOf(19_500))]).to.deep.equal([0, undefined]);
  });

  it('A table of keys removes nothing where there is no such entry', () => {
    const { keys, table } = open(1000);
    keys.push('a', 'b');
    table.add(7, 0);
    table.remove(7, 1);
    table.remove(9, 0);
    expect(table.find('a', 7)).to.equal(0);
  });
});
