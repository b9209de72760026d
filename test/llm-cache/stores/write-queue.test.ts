import { expect } from 'chai';
import { type QueuedWrite, WriteQueue } from '../../../policies/llm-cache/stores/write-queue.ts';

describe('The write queue', () => {
  /** The writes under way, each with what ends it. */
  let sent: { write: QueuedWrite; end: (error?: Error) => void }[];
  let queue: WriteQueue;

  beforeEach(() => {
    sent = [];
    queue = new WriteQueue(
      (write) =>
        new Promise<void>((resolve, reject) => {
          sent.push({ write, end: (error) => (error ? reject(error) : resolve()) });
        }),
    );
  });

  const push = (name: string, size = 10) =>
    queue.push({ name, bytes: new Uint8Array(size), expiresAt: Infinity });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const names = () => sent.map(({ write }) => write.name).join('');

  it('The write queue sends sixteen writes at once, and the others in order', async () => {
    const all = 'abcdefghijklmnopqrst';
    for (const name of all) push(name);
    expect(names()).to.equal(all.slice(0, 16));
    sent[3]?.end();
    sent[0]?.end();
    await turn();
    expect(names()).to.equal(all.slice(0, 18));
  });

  it('The write queue sends large writes one by one', async () => {
    for (const name of 'abc') push(name, 5_000_000);
    expect(names()).to.equal('a');
    sent[0]?.end();
    await turn();
    expect(names()).to.equal('ab');
  });

  it('The write queue sends only the first and the last of several writes under one name', async () => {
    const last = { name: 'a', bytes: new Uint8Array([1]), expiresAt: Infinity };
    push('a');
    push('a');
    queue.push(last);
    push('b');
    expect(names()).to.equal('ab');
    expect(queue.find('a')).to.equal(last);
    sent[0]?.end();
    await turn();
    expect(names()).to.equal('aba');
    expect(sent[2]?.write).to.equal(last);
    expect(queue.dropped).to.equal(0);
  });

  it('The write queue knows a write until it has arrived', async () => {
    push('a');
    expect(queue.find('a')?.name).to.equal('a');
    sent[0]?.end();
    await turn();
    expect(queue.find('a')).to.equal(undefined);
    expect(queue.find('constructor')).to.equal(undefined);
  });

  it('The write queue counts as dropped what fails and what finds no room', async () => {
    expect(push('a', 30_000_000)).to.equal(true);
    expect(push('b', 30_000_000)).to.equal(false);
    expect([queue.dropped, queue.failed]).to.deep.equal([1, 0]);
    sent[0]?.end(new Error('no'));
    await turn();
    expect([queue.dropped, queue.failed]).to.deep.equal([2, 1]);
    push('c', 30_000_000);
    expect(names()).to.equal('ac');
  });

  it('The write queue withdraws a waiting write, and waits for one that was sent', async () => {
    for (const name of 'ab') push(name, 2_000_000);
    expect(await queue.withdraw('b')).to.equal(true);
    let isOver = false;
    const withdrawn = queue.withdraw('a').then((taken) => {
      isOver = true;
      return taken;
    });
    await turn();
    expect(isOver).to.equal(false);
    sent[0]?.end();
    expect(await withdrawn).to.equal(false);
    expect(names()).to.equal('a');
  });

  it('The write queue is flushed when all has arrived or failed', async () => {
    await queue.flushed();
    for (const name of 'ab') push(name, 2_000_000);
    let isFlushed = false;
    const flushed = queue.flushed().then(() => (isFlushed = true));
    sent[0]?.end(new Error('no'));
    await turn();
    expect(isFlushed).to.equal(false);
    sent[1]?.end();
    await flushed;
  });
});
