import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request in an Express app: the gateway's, or the user's own. */
export interface AppRequest extends IncomingMessage {
  /** The URL as the client sent it; `url` may have been rewritten. */
  readonly originalUrl: string;
  body?: unknown;
}

export type Middleware<R extends AppRequest> = (
  req: R,
  res: ServerResponse,
  next: () => void,
) => void;
