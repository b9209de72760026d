import { expect } from 'chai';
import type { Noted } from '../../../policies/hosts/node/recent-request.ts';
import { RecentRequests } from '../../../policies/hosts/node/recent-requests.ts';
import { chat } from '../../../policies/shared/protocols/chat.ts';
import { Ring } from '../../../policies/shared/ring.ts';
import { record } from '../../support/sinks-records.ts';

describe('A ring', () => {
  it('A ring keeps the newest of what was put in', () => {
    const ring = new Ring<number>(3);
    for (const one of [1, 2, 3, 4, 5]) ring.add(one);
    expect(ring.newestFirst()).to.deep.equal([5, 4, 3]);
  });

  it('A ring loses its oldest members when it shrinks, and nothing when it grows', () => {
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
  const request = (requestId: string | null = null): Noted => ({
    apiEndpoint: 'a',
    requestId,
    protocol: chat,
    note: null,
  });
  function keep(requests: RecentRequests, outcome: 'hit' | 'miss'): void {
    const note = requests.begin(request(), 'p', outcome);
    if (note !== null) requests.keep(note);
  }
  const outcomes = (requests: RecentRequests) => requests.all().map(({ outcome }) => outcome);

  it('Recent requests are bounded, and many hits push no miss out', () => {
    const requests = new RecentRequests();
    requests.configure(2);
    for (const _ of [1, 2, 3]) keep(requests, 'miss');
    for (let times = 0; times < 100; times++) keep(requests, 'hit');
    expect(outcomes(requests).toSorted()).to.deep.equal(['hit', 'hit', 'miss', 'miss']);
  });

  it('Recent requests hold one note for all policies that see a request', () => {
    const requests = new RecentRequests();
    requests.configure(5);
    const one = request();
    const note = requests.begin(one, 'p', 'pass');
    expect(requests.begin(one, 'p', 'left')).to.equal(note);
    expect(note?.outcome).to.equal('pass');
  });

  it('Recent requests have distinct ids', () => {
    const requests = new RecentRequests();
    requests.configure(5);
    for (const _ of [1, 2, 3]) keep(requests, 'miss');
    expect(new Set(requests.all().map((one) => requests.idOf(one))).size).to.equal(3);
  });

  it('Recent requests cut texts that a client can make long', () => {
    const requests = new RecentRequests();
    requests.configure(1);
    const note = requests.begin(request('x'.repeat(10_000)), 'p', 'left');
    expect(note?.requestId).to.have.lengthOf(256);
    note?.addUsage({ ...record(1), model: 'y'.repeat(10_000) });
    expect(note?.model).to.have.lengthOf(256);
  });

  it('Recent requests keep no notes while the setting is 0', () => {
    const requests = new RecentRequests();
    requests.configure(0);
    expect(requests.begin(request(), 'p', 'left')).to.equal(null);
  });
});
