import http from 'node:http';
import type { AddressInfo } from 'node:net';
import zlib from 'node:zlib';
import { eventually } from './eventually.ts';

/** A request as the scripted provider received it. */
export interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  /** Whether the client closed the connection before the answer had ended. */
  aborted: boolean;
}

export type Answer = (request: Recorded, res: http.ServerResponse) => void | Promise<void>;

/** A scripted stand-in for a provider. */
export class Upstream {
  readonly requests: Recorded[] = [];
  readonly url: string;
  readonly #server: http.Server;
  #answer: Answer = json('{}');

  private constructor(server: http.Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (req, res) => this.#take(req, res));
  }

  static async start(): Promise<Upstream> {
    const server = http.createServer();
    server.keepAliveTimeout = 0;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Upstream(server);
  }

  /** Sets the answer to all further requests. */
  answer(answer: Answer): void {
    this.#answer = answer;
  }

  get last(): Recorded {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('the upstream was not asked');
    return last;
  }

  async asked(times: number): Promise<void> {
    await eventually(() => this.requests.length >= times, `${times} requests at the upstream`);
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #take(req: http.IncomingMessage, res: http.ServerResponse): void {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('error', () => {});
    req.on('end', () => {
      const recorded: Recorded = {
        method: req.method ?? '',
        path: req.url ?? '',
        headers: req.headers,
        body: Buffer.concat(chunks),
        aborted: false,
      };
      res.on('close', () => {
        recorded.aborted = !res.writableFinished;
      });
      this.requests.push(recorded);
      void this.#answer(recorded, res);
    });
  }
}

type Headers = http.OutgoingHttpHeaders;

export function json(body: string | Buffer, headers: Headers = {}, status = 200): Answer {
  return (_request, res) => {
    const length = Buffer.byteLength(body);
    res.writeHead(status, {
      'content-type': 'application/json',
      'content-length': length,
      ...headers,
    });
    res.end(body);
  };
}

/** Answers with the whole event stream at once, in chunked coding. */
export function sse(body: string | Buffer, headers: Headers = {}): Answer {
  return (_request, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers });
    res.write(body);
    res.end();
  };
}

export const coders = {
  gzip: zlib.gzipSync,
  br: zlib.brotliCompressSync,
  deflate: zlib.deflateSync,
} as const;

/** Lets a `gated` answer send its next chunk at each `pass`. */
export class Gate {
  #open: (() => void) | null = null;
  #waiting: Promise<void> = Promise.resolve();
  #passes = 0;

  pass(): void {
    if (this.#open === null) this.#passes++;
    else this.#open();
    this.#open = null;
  }

  wait(): Promise<void> {
    if (this.#passes > 0) {
      this.#passes--;
      return Promise.resolve();
    }
    this.#waiting = new Promise((resolve) => {
      this.#open = resolve;
    });
    return this.#waiting;
  }
}

/** Answers with a stream that waits at the gate before each chunk but the first. */
export function gated(chunks: readonly string[], gate: Gate, headers: Headers = {}): Answer {
  return async (_request, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...headers });
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0) await gate.wait();
      if (res.destroyed) return;
      res.write(chunk);
    }
    res.end();
  };
}

/** Sends the beginning of a body, then closes the connection. */
export function dies(head: string, headers: Headers = {}): Answer {
  return (_request, res) => {
    res.writeHead(200, { 'content-type': 'application/json', ...headers });
    res.flushHeaders();
    if (head === '') setTimeout(() => res.destroy(), 20);
    else res.write(head, () => setTimeout(() => res.destroy(), 20));
  };
}
