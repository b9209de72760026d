import { expect } from 'chai';
import { type Counted, EntryCount } from '../../../policies/llm-cache/stores/entry-count.ts';

describe('A background count of entries', () => {
  let now: number;
  let counts: number;
  let end: (counted: Counted | Error) => void;
  let count: EntryCount;
  beforeEach(() => {
    now = 0;
    counts = 0;
    const make = (signal: AbortSignal) => {
      counts++;
      return new Promise<Counted>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error()));
        end = (counted) => (counted instanceof Error ? reject(counted) : resolve(counted));
      });
    };
    count = new EntryCount(make, () => now);
  });
  const settle = () => new Promise((resolve) => setImmediate(resolve));

  it('A background count is null until the first has ended, and is made only once', async () => {
    for (const _ of [1, 2, 3]) expect(count.latest()).to.equal(null);
    expect(counts).to.equal(1);
    end({ entries: 5, bytes: 50 });
    await settle();
    expect(count.latest()).to.deep.equal({ entries: 5, bytes: 50 });
    expect(counts).to.equal(1);
  });

  it('A background count is made again after half a minute, and meanwhile shown as it was', async () => {
    count.latest();
    end({ entries: 5, bytes: 50 });
    await settle();
    now += 29_000;
    count.latest();
    expect(counts).to.equal(1);
    now += 2000;
    expect(count.latest()).to.deep.equal({ entries: 5, bytes: 50 });
    expect(counts).to.equal(2);
  });

  it('A background count is made less often the longer it takes', async () => {
    count.latest();
    now += 1000;
    end({ entries: 5, bytes: 50 });
    await settle();
    now += 99_000;
    count.latest();
    expect(counts).to.equal(1);
    now += 2000;
    count.latest();
    expect(counts).to.equal(2);
  });

  it('A background count ends when it is stopped, and is made again when asked for later', async () => {
    count.stop();
    count.latest();
    count.stop();
    await settle();
    expect(count.latest()).to.equal(null);
    expect(counts).to.equal(1);
    now += 31_000;
    count.latest();
    expect(counts).to.equal(2);
  });

  it('A background count is null after one that failed', async () => {
    count.latest();
    end({ entries: 5, bytes: 50 });
    await settle();
    now += 31_000;
    count.latest();
    end(new Error());
    await settle();
    expect(count.latest()).to.equal(null);
  });
});
