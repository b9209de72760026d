import net, { type AddressInfo } from 'node:net';

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
  readonly url: string;
  readonly commands: string[] = [];
  answer: OddAnswer = () => '+OK\r\n';
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server) {
    this.#server = server;
    this.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('connection', (socket) => this.#take(socket));
  }

  static async start(): Promise<OddRedis> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new OddRedis(server);
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #take(socket: net.Socket): void {
    let text = '';
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      for (let end = commandEnd(text); end > 0; end = commandEnd(text)) {
        const name = /\r\n\$\d+\r\n([^\r]*)/.exec(text)?.[1]?.toUpperCase() ?? '';
        text = text.slice(end);
        this.commands.push(name);
        const answer = handshake[name] ?? this.answer(name);
        if (answer !== null) socket.write(Buffer.from(answer, 'latin1'));
      }
    });
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
