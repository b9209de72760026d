import { IncomingMessage, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { GatewayRequest } from './gateway.ts';

/**
 * Ties the upstream's answer and the client's response together where http-proxy does not: whose
 * other side is gone does not go on alone.
 */
export class Lifeline {
  /** The upstream's message; null as long as none is being passed on. */
  upstream: IncomingMessage | null = null;
  /** The upstream died before its end. */
  broke = false;

  constructor(req: GatewayRequest, res: ServerResponse) {
    res.on('pipe', (source: Readable) => {
      if (!(source instanceof IncomingMessage) || source === req) return;
      this.upstream = source;
      if (res.destroyed) source.destroy();
      source.once('close', () => {
        if (!source.complete && !res.destroyed) this.#end(res);
      });
    });
    res.once('close', () => {
      if (res.writableFinished) return;
      if (this.upstream !== null) this.upstream.destroy();
      // Without a head from the upstream yet, this is how http-proxy is told to give up.
      else req.emit('aborted');
    });
  }

  #end(res: ServerResponse): void {
    this.broke = true;
    if (res.writableEnded) return;
    if (res.headersSent) {
      res.destroy();
      return;
    }
    for (const name of res.getHeaderNames()) res.removeHeader(name);
    res.statusCode = 502;
    res.statusMessage = 'Bad Gateway';
    res.setHeader('content-type', 'text/plain; charset=utf-8');
    res.end('Bad gateway.');
  }
}
