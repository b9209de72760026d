import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import process from 'node:process';
import { gunzipSync } from 'node:zlib';
import { pause, percentile } from '../reliability/scenario.ts';
import { mark } from './messages.ts';
import type { CrowdOrder, LoadOrder, Order, ProbeOrder, ProbeResult, Target } from './orders.ts';
import { ReplyReader } from './reply-reader.ts';
import { readStamps } from './stamps.ts';

// The client's process. It writes HTTP to bare sockets: node:http would cost as much as the gateway.

const timeoutMs = 20_000;

/** One connection that sends one request at a time. */
class Requester {
  readonly reader: ReplyReader;
  readonly #socket: Socket;
  readonly #bytes: Buffer;
  readonly #markAt: number;

  private constructor(target: Target, socket: Socket, listener: Listener) {
    const { host, pathname, search } = new URL(target.url);
    const head = `POST ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\nauthorization: Bearer sk-bench\r\n${target.gzip ? 'accept-encoding: gzip\r\n' : ''}content-length: ${Buffer.byteLength(target.request)}\r\n\r\n`;
    this.#bytes = Buffer.from(head + target.request);
    this.#markAt = this.#bytes.indexOf(mark);
    this.#socket = socket.setNoDelay(true);
    this.reader = new ReplyReader(listener.data, listener.end);
    socket.on('data', (bytes) => this.reader.push(bytes));
    socket.on('close', () => listener.gone());
    socket.on('error', () => {});
  }

  static async open(target: Target, listener: Listener): Promise<Requester> {
    const { hostname, port } = new URL(target.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new Requester(target, socket, listener);
  }

  /** Sends the request, with `number` in place of the mark; null if the request has no mark. */
  ask(number: number | null): void {
    if (number !== null)
      this.#bytes.write(String(number).padStart(12, '0'), this.#markAt, 'latin1');
    this.#socket.write(this.#bytes);
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }
}

interface Listener {
  readonly data: (bytes: Buffer) => void;
  readonly end: () => void;
  readonly gone: () => void;
}

/** Returns a promise with its resolvers. */
function deferred() {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

function checkHead(head: string, { cache, url }: Target): void {
  const found = /\r\nx-cache: *([^\r]*)/i.exec(head)?.[1] ?? null;
  if (head.startsWith('HTTP/1.1 200 ') && found === cache) return;
  throw new Error(`${url}: X-Cache is ${found} and should be ${cache} in\n${head}`);
}

/** The next number for a mark: never repeated, so that no two loads of this process send the same request. */
let sequence = Date.now() % 1e9;

async function load(order: LoadOrder) {
  const { connections, seconds, request } = order;
  const whole = order.body === null ? null : Buffer.from(order.body);
  const isEachDifferent = request.includes(mark);
  const took: number[] = [];
  const requesters: Requester[] = [];
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  let finishedAt = startedAt;
  const one = async () => {
    let size = 0;
    let replies = 0;
    let kept: Buffer[] = [];
    let askedAt = 0;
    let requester: Requester | null = null;
    const finished = deferred();
    const next = () => {
      askedAt = performance.now();
      requester?.ask(isEachDifferent ? sequence++ : null);
    };
    requester = await Requester.open(order, {
      data(bytes) {
        size += bytes.length;
        if (replies % 64 === 0) kept.push(bytes);
      },
      end() {
        try {
          const now = performance.now();
          took.push(now - askedAt);
          finishedAt = now;
          checkHead(requester?.reader.head ?? '', order);
          if (whole !== null && size !== whole.length && !order.gzip)
            throw new Error(`${order.url}: ${size} bytes`);
          const body = () => (order.gzip ? gunzipSync(Buffer.concat(kept)) : Buffer.concat(kept));
          if (whole !== null && replies % 64 === 0 && !body().equals(whole)) {
            throw new Error(`${order.url}: other bytes than expected`);
          }
          size = 0;
          replies++;
          kept = [];
          if (now < endsAt) next();
          else finished.resolve();
        } catch (error) {
          finished.reject(error as Error);
        }
      },
      gone: () => finished.reject(new Error(`${order.url}: the connection broke`)),
    });
    requesters.push(requester);
    next();
    await finished.promise;
  };
  try {
    await Promise.all(Array.from({ length: connections }, one));
  } finally {
    for (const requester of requesters) requester.close();
  }
  const perSecond = (took.length / (finishedAt - startedAt)) * 1000;
  return { perSecond, p50: percentile(took, 0.5), p99: percentile(took, 0.99) };
}

const noResult = (): ProbeResult => ({ firstBytes: [], delays: [], held: 0 });

/** Requests one stream of stamped events, and records in `result` when each event arrived. */
async function listen(target: Target, result: ProbeResult) {
  const finished = deferred();
  const hash = createHash('sha256');
  let askedAt = 0;
  let isFirst = true;
  let cameAt = 0n;
  const requester = await Requester.open(target, {
    data(bytes) {
      const now = process.hrtime.bigint();
      if (isFirst) result.firstBytes.push(performance.now() - askedAt);
      isFirst = false;
      hash.update(bytes);
      for (const stamp of readStamps(bytes)) {
        if (cameAt > stamp) result.held++;
        cameAt = now;
        result.delays.push(Number(now - stamp) / 1e6);
      }
    },
    end: finished.resolve,
    gone: () => finished.reject(new Error(`${target.url}: the connection broke`)),
  });
  return {
    async read() {
      askedAt = performance.now();
      requester.ask(target.request.includes(mark) ? sequence++ : null);
      await finished.promise;
      requester.close();
      return { head: requester.reader.head, body: hash.digest('base64') };
    },
  };
}

async function probe({ targets, times }: ProbeOrder) {
  const results = targets.map(noResult);
  for (let time = 0; time < times; time++) {
    for (let at = 0; at < targets.length; at++) {
      // Rotate the order: the first target of a pair runs on a cooler machine.
      const which = (at + time) % targets.length;
      const [target, result] = [targets[which], results[which]];
      if (target === undefined || result === undefined) continue;
      const { head } = await (await listen(target, result)).read();
      checkHead(head, target);
      await pause(1);
    }
  }
  return results;
}

async function crowd(order: CrowdOrder) {
  const result = noResult();
  const readers = await Promise.all(
    Array.from({ length: order.readers }, () => listen(order, result)),
  );
  const startedAt = performance.now();
  const replies = await Promise.all(readers.map((reader) => reader.read()));
  const took = performance.now() - startedAt;
  const outcomes: Record<string, number> = {};
  for (const { head } of replies) {
    if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(head);
    const name = /\r\nx-cache: *([^\r]*)/i.exec(head)?.[1] ?? '';
    outcomes[name] = (outcomes[name] ?? 0) + 1;
  }
  return { ...result, took, outcomes, bodies: new Set(replies.map(({ body }) => body)).size };
}

async function run(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'load':
      return load(order);
    case 'probe':
      return probe(order);
    case 'crowd':
      return crowd(order);
  }
}

process.on('message', (order: Order) => {
  const timeout = timeoutMs + ('seconds' in order ? order.seconds * 1000 : 60_000);
  const timedOut = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('no answer came')), timeout).unref();
  });
  void Promise.race([run(order), timedOut]).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
