import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import { FaultLog } from '../../../policies/shared/faults.ts';
import type { AppRequest } from '../../../policies/hosts/node/app-request.ts';
import { ResponseEnd } from '../../../policies/hosts/node/response-end.ts';
import { guardOf } from '../../../policies/hosts/node/response-guard.ts';
import {
  type Cut,
  type Patience,
  UpstreamCall,
} from '../../../policies/hosts/node/upstream-call.ts';
import { useFakeClock } from '../../support/fake-clock.ts';

/** An answer that a handler writes by itself, and whose client leaves. */
function written(
  { thinkingMs = 10_000, silentMs = 10_000 }: Partial<Patience>,
  { outlives = false } = {},
) {
  const socket = new EventEmitter();
  const req = Object.assign(new EventEmitter(), { socket }) as unknown as AppRequest;
  const head = { headersSent: false, writableEnded: false };
  const res = Object.assign(new EventEmitter(), head) as unknown as ServerResponse & typeof head;
  const guard = guardOf(req, res, new FaultLog(console));
  const end = new ResponseEnd(req, res);
  const call = new UpstreamCall(req, res, { end, guard }, { thinkingMs, silentMs });
  const cuts: Cut[] = [];
  call.watch({
    outlivesClient: () => outlives,
    cut: (reason) => void cuts.push(reason),
    release: () => {},
  });
  return { req, res, call, cuts };
}

describe('The call of a handler without an upstream message', () => {
  const clock = useFakeClock({ toFake: ['setTimeout', 'clearTimeout'] });

  it('An upstream call is cut at once when its client leaves and no other wants the answer', () => {
    const { req, res, cuts } = written({});
    let told = 0;
    req.on('aborted', () => told++);
    res.emit('close');
    expect([cuts, told]).to.deep.equal([['client-left'], 1]);
  });

  it('An upstream call is cut when the answer falls silent after its head', () => {
    const { res, call, cuts } = written({ silentMs: 60 }, { outlives: true });
    res.headersSent = true;
    res.emit('close');
    for (let times = 0; times < 5; times++) {
      clock().tick(59);
      call.keepAlive();
    }
    expect(cuts).to.deep.equal([]);
    clock().tick(60);
    expect(cuts).to.deep.equal(['client-left']);
  });

  it('An upstream call waits longer for a head than for the next byte', () => {
    const { res, cuts } = written({ thinkingMs: 80, silentMs: 1 }, { outlives: true });
    res.emit('close');
    clock().tick(79);
    expect(cuts).to.deep.equal([]);
    clock().tick(1);
    expect(cuts).to.deep.equal(['client-left']);
  });

  it('An upstream call is not cut after its end', () => {
    const { res, call, cuts } = written({ silentMs: 10, thinkingMs: 10 }, { outlives: true });
    res.emit('close');
    call.complete();
    clock().tick(1000);
    expect(cuts).to.deep.equal([]);
  });

  it('An upstream call is cut when its request breaks, though others want the answer', () => {
    for (const order of [
      ['aborted', 'close'],
      ['close', 'aborted'],
    ] as const) {
      const { req, res, cuts } = written({}, { outlives: true });
      for (const event of order) (event === 'close' ? res : req).emit(event);
      expect(cuts).to.deep.equal(['client-left']);
    }
  });
});
