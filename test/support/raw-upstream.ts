import type net from 'node:net';
import { eventually } from './eventually.ts';
import { RawServer } from './raw-server.ts';

/** Called with the connection once it has received a complete request. */
export type Script = (socket: net.Socket) => void | Promise<void>;

/** A stand-in for a provider that writes raw bytes, so that it can break the protocol in any way. */
export class RawUpstream {
  calls = 0;
  #server: RawServer | null = null;
  #script: Script = (socket) => void socket.end();

  private constructor() {}

  static async start(): Promise<RawUpstream> {
    const upstream = new RawUpstream();
    upstream.#server = await RawServer.start((text, socket) => upstream.#receive(text, socket));
    return upstream;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server?.port}`;
  }

  /** Sets the script for all further requests. */
  does(script: Script): void {
    this.#script = script;
  }

  async asked(times: number): Promise<void> {
    await eventually(() => this.calls >= times, `${times} calls`);
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #receive(text: string, socket: net.Socket): string {
    if (!isWhole(text)) return text;
    this.calls++;
    void this.#script(socket);
    return '';
  }
}

function isWhole(text: string): boolean {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return false;
  const length = /^content-length: (\d+)/im.exec(text)?.[1];
  if (length !== undefined) return text.length >= headEnd + 4 + Number(length);
  return !/^transfer-encoding/im.test(text) || text.endsWith('0\r\n\r\n');
}

export function head(...fields: readonly string[]): string {
  return ['HTTP/1.1 200 OK', ...fields, '', ''].join('\r\n');
}

export function chunk(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

export interface Death {
  /** The header field that frames the body. */
  readonly framing: string;
  /** Encodes `text` for that framing. */
  readonly carry: (text: string) => string;
  /** Called after the client has received everything sent so far. */
  readonly die: (socket: net.Socket) => void;
}

const chunked = { framing: 'Transfer-Encoding: chunked', carry: chunk };
const counted = { framing: 'Content-Length: 5000', carry: (text: string) => text };
const close = (socket: net.Socket) => void socket.destroy();
const reset = (socket: net.Socket) => void socket.resetAndDestroy();

/** The ways in which an upstream may leave an answer unfinished. */
export const deaths: Readonly<Record<string, Death>> = {
  'closes amid chunks': { ...chunked, die: close },
  'resets amid chunks': { ...chunked, die: reset },
  'breaks its chunks': { ...chunked, die: (socket) => void socket.write('ZZ\r\nxx') },
  'closes short of its length': { ...counted, die: close },
  'resets short of its length': { ...counted, die: reset },
  'resets a body without length': {
    framing: 'Connection: close',
    carry: (text) => text,
    die: reset,
  },
};
