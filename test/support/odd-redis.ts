import type net from 'node:net';
import { RawServer } from './raw-server.ts';

/** Returns the raw RESP reply to a command, or null to send none. */
export type OddAnswer = (command: string) => string | null;

/** Replies to the commands that a client sends when it connects. */
const handshake: Readonly<Record<string, string>> = {
  HELLO: '+OK\r\n',
  CLIENT: '+OK\r\n',
  PING: '+PONG\r\n',
  INFO: bulk('redis_version:7.0.0\r\nloading:0\r\n'),
  SUBSCRIBE: `*3\r\n${bulk('subscribe')}${bulk('any')}:1\r\n`,
};

export function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

/** A server in place of Redis that completes the handshake and then sends scripted replies. */
export class OddRedis {
  readonly commands: string[] = [];
  answer: OddAnswer = () => '+OK\r\n';
  #server: RawServer | null = null;

  private constructor() {}

  static async start(): Promise<OddRedis> {
    const redis = new OddRedis();
    redis.#server = await RawServer.start((text, socket) => redis.#receive(text, socket));
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#server?.port}`;
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }

  #receive(received: string, socket: net.Socket): string {
    let text = received;
    for (let end = commandEnd(text); end > 0; end = commandEnd(text)) {
      const name = /\r\n\$\d+\r\n([^\r]*)/.exec(text)?.[1]?.toUpperCase() ?? '';
      text = text.slice(end);
      this.commands.push(name);
      const answer = handshake[name] ?? this.answer(name);
      if (answer !== null) socket.write(Buffer.from(answer, 'latin1'));
    }
    return text;
  }
}

/** Returns the end of the first command in `text`, or 0 if it is incomplete. */
function commandEnd(text: string): number {
  const [begin, count] = /^\*(\d+)\r\n/.exec(text) ?? [];
  if (begin === undefined) return 0;
  let at = begin.length;
  for (let part = 0; part < Number(count); part++) {
    const [head, length] = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20)) ?? [];
    if (head === undefined) return 0;
    at += head.length + Number(length) + 2;
    if (at > text.length) return 0;
  }
  return at;
}
