import net, { type AddressInfo } from 'node:net';

/** Takes what a connection has received and not taken yet, as Latin-1; returns what is left of it. */
export type Receiver = (text: string, socket: net.Socket) => string;

/** A TCP server whose connections are read as text, and broken off when it closes. */
export class RawServer {
  readonly port: number;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();

  private constructor(server: net.Server, receive: Receiver) {
    this.port = (server.address() as AddressInfo).port;
    this.#server = server;
    server.on('connection', (socket) => this.#take(socket, receive));
  }

  static async start(receive: Receiver): Promise<RawServer> {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new RawServer(server, receive);
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #take(socket: net.Socket, receive: Receiver): void {
    let text = '';
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes) => {
      text = receive(text + bytes.toString('latin1'), socket);
    });
  }
}
