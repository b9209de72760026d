import { expect } from 'chai';
import {
  type Arrived,
  NotedCounts,
  RecentRequests,
} from '../../../policies/hosts/node/recent-requests.ts';
import { CacheStats } from '../../../policies/llm-cache/stats.ts';
import { Ring } from '../../../policies/shared/ring.ts';

describe('A ring', () => {
  it('keeps the newest of what was put in', () => {
    const ring = new Ring<number>(3);
    for (const one of [1, 2, 3, 4, 5]) ring.add(one);
    expect(ring.newestFirst()).to.deep.equal([5, 4, 3]);
  });

  it('loses the oldest when it gets fewer places, and nothing when it gets more', () => {
    const ring = new Ring<number>(3);
    for (const one of [1, 2, 3, 4]) ring.add(one);
    ring.resize(2);
    expect(ring.newestFirst()).to.deep.equal([4, 3]);
    ring.resize(4);
    for (const one of [5, 6, 7]) ring.add(one);
    expect(ring.newestFirst()).to.deep.equal([7, 6, 5, 4]);
    ring.resize(0);
    ring.add(8);
    expect(ring.newestFirst()).to.deep.equal([]);
  });
});

describe('The notes of recent requests', () => {
  const arrived: Arrived = {
    pipeline: 'p',
    apiEndpoint: 'a',
    requestId: null,
    protocol: 'chat',
    outcome: 'left',
  };
  function keep(requests: RecentRequests, outcome: 'hit' | 'miss'): void {
    const request = {};
    const note = requests.of(request, () => arrived);
    if (note !== null) note.outcome = outcome;
    requests.keep(request);
  }
  const outcomes = (requests: RecentRequests) => requests.all().map(({ outcome }) => outcome);

  it('are bounded, and many hits push no miss out', () => {
    const requests = new RecentRequests();
    requests.configure(2);
    for (const _ of [1, 2, 3]) keep(requests, 'miss');
    for (let times = 0; times < 100; times++) keep(requests, 'hit');
    expect(outcomes(requests).toSorted()).to.deep.equal(['hit', 'hit', 'miss', 'miss']);
  });

  it('are one for all policies that see a request, and kept once', () => {
    const requests = new RecentRequests();
    requests.configure(5);
    const request = {};
    expect(requests.of(request, () => arrived)).to.equal(requests.of(request, () => arrived));
    for (const _ of [1, 2]) requests.keep(request);
    expect(requests.all()).to.have.lengthOf(1);
  });

  it('cut what a client can make long', () => {
    const requests = new RecentRequests();
    requests.configure(1);
    const requestId = 'x'.repeat(10_000);
    const note = requests.of({}, () => ({ ...arrived, requestId }));
    expect(note?.requestId).to.have.lengthOf(256);
  });

  it('are none while the setting is 0', () => {
    const requests = new RecentRequests();
    requests.configure(0);
    expect(requests.of({}, () => arrived)).to.equal(null);
    keep(requests, 'hit');
    expect(requests.all()).to.deep.equal([]);
  });

  it('have what is counted, and it is counted all the same', () => {
    const requests = new RecentRequests();
    requests.configure(1);
    const stats = new CacheStats();
    const note = requests.of({}, () => arrived);
    const counts = new NotedCounts(stats.of('p', 'chat'), note!);
    counts.count('bypass', 'not-json');
    counts.countNotStored('status');
    expect(note).to.include({ outcome: 'bypass', reason: 'not-json', notStored: 'status' });
    counts.countSlowReader();
    expect(note).to.include({ reason: 'slow-reader' });
    expect(stats.pipelines()['p']).to.deep.include({
      requests: 1,
      reasons: { 'not-json': 1, 'slow-reader': 1 },
      notStored: { status: 1 },
    });
  });
});
