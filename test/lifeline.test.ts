import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import { expect } from 'chai';
import type { AppRequest } from '../policies/shared/node/gateway.ts';
import { Lifeline, type Patience } from '../policies/shared/node/lifeline.ts';
import { Over } from '../policies/shared/node/over.ts';
import { eventually } from './support/eventually.ts';

/** An answer that a handler writes by itself, and whose client leaves. */
function written({ thinkingMs = 10_000, silentMs = 10_000 }: Partial<Patience>) {
  const socket = new EventEmitter();
  const req = Object.assign(new EventEmitter(), { socket }) as unknown as AppRequest;
  const head = { headersSent: false, writableEnded: false };
  const res = Object.assign(new EventEmitter(), head) as unknown as ServerResponse & typeof head;
  const lifeline = new Lifeline(req, res, new Over(req, res), { thinkingMs, silentMs });
  const cuts: string[] = [];
  lifeline.onCut.push((reason) => cuts.push(reason));
  return { req, res, lifeline, cuts };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('The lifeline of an answer that no upstream message carries', () => {
  it('is cut at once when nobody else wants the answer', () => {
    const { req, res, cuts } = written({});
    let told = 0;
    req.on('aborted', () => told++);
    res.emit('close');
    expect([cuts, told]).to.deep.equal([['client-left'], 1]);
  });

  it('is cut when the answer falls silent after its head', async () => {
    const { res, lifeline, cuts } = written({ silentMs: 60 });
    lifeline.goesOn = () => true;
    res.headersSent = true;
    res.emit('close');
    for (let times = 0; times < 5; times++) {
      await wait(20);
      lifeline.stir();
    }
    expect(cuts).to.deep.equal([]);
    await eventually(() => cuts.length === 1, 'it is cut');
  });

  it('waits longer for a head', async () => {
    const { res, lifeline, cuts } = written({ thinkingMs: 80, silentMs: 1 });
    lifeline.goesOn = () => true;
    res.emit('close');
    await wait(20);
    expect(cuts).to.deep.equal([]);
    await eventually(() => cuts.length === 1, 'it is cut');
  });

  it('is not cut after its end', async () => {
    const { res, lifeline, cuts } = written({ silentMs: 10, thinkingMs: 10 });
    lifeline.goesOn = () => true;
    res.emit('close');
    lifeline.settle();
    await wait(30);
    expect(cuts).to.deep.equal([]);
  });

  it('is cut when the request itself breaks, whoever wants the answer', () => {
    for (const order of [
      ['aborted', 'close'],
      ['close', 'aborted'],
    ] as const) {
      const { req, res, lifeline, cuts } = written({});
      lifeline.goesOn = () => true;
      for (const event of order) (event === 'close' ? res : req).emit(event);
      expect(cuts).to.deep.equal(['client-left']);
    }
  });
});
