import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodyReason } from '../../shared/exchange.ts';
import type { Identity } from '../../shared/identity/identity.ts';
import type { RequestBody } from '../../shared/request-body.ts';
import type { Bounds, HeldBody } from './body.ts';

/** A request in an Express app, the gateway's or another. */
export interface AppRequest extends IncomingMessage {
  /** The url as the client sent it; `url` may have been rewritten. */
  readonly originalUrl: string;
  body?: unknown;
}

export type Middleware<R extends AppRequest> = (
  req: R,
  res: ServerResponse,
  next: () => void,
) => void;

/** What a request is known by beside HTTP, and how its body goes on: in the gateway, or in an app. */
export interface HostRequest {
  readonly apiEndpoint: string | null;
  /** Who asks, as the host has authenticated it. Throws where that could not be told. */
  readonly identity: Identity;
  readonly requestId: string | null;
  /** The path and query that will be forwarded. */
  readonly forwardedUrl: string;
  /** Another value than the last time when somebody has put another body there since. */
  readonly offered: unknown;
  /** The body that will be forwarded. */
  read(bounds: Bounds): Promise<HeldBody | BodyReason>;
  /** Gives a body that was read to whoever comes next, as though nobody had read it. */
  offer(body: RequestBody): void;
  /** Whether an answer that comes from no upstream tells that the upstream cannot be reached. */
  isFailure(status: number, text: unknown): boolean;
}
