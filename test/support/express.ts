import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import type { ExpressMiddleware } from '../../policies/hosts/express/index.ts';

// The types of Express and its companions as far as the tests use them; their own are not installed.

export interface Request extends IncomingMessage {
  body?: unknown;
  user?: unknown;
}
export type Handler = (
  req: Request,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => unknown;
export type ErrorHandler = (
  error: Error,
  req: Request,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => unknown;

type Step = Handler | ExpressMiddleware | App;

export interface App extends Handler {
  use(...steps: (Step | ErrorHandler)[]): App;
  use(path: string, ...steps: Step[]): App;
  post(path: string, ...steps: Step[]): App;
  listen(port: number, host: string, ready: () => void): Server;
}

export interface Express {
  (): App;
  json(options?: object): Handler;
  text(options?: object): Handler;
  raw(options?: object): Handler;
  urlencoded(options: object): Handler;
}

const load = createRequire(resolve('test/hosts/express/express.test.ts'));

export const expresses: Readonly<Record<string, Express>> = {
  'Express 4': load('express') as Express,
  'Express 5': load('express5') as Express,
};

export interface ProxyMiddleware {
  createProxyMiddleware(options: object): Handler;
  fixRequestBody(...args: unknown[]): void;
}

export const proxyMiddleware = load('http-proxy-middleware') as ProxyMiddleware;

/** A running app. */
export interface Running {
  readonly url: string;
  close(): Promise<void>;
}

export async function listen(app: App): Promise<Running> {
  const server = await new Promise<Server>((ready) => {
    const started = app.listen(0, '127.0.0.1', () => ready(started));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(() => done()));
    },
  };
}
