import type { IncomingMessage, ServerResponse } from 'node:http';
import { ByteBudget } from '../shared/bytes/budget.ts';
import { Slabs } from '../shared/bytes/slabs.ts';

/** The part of the gateway's admin app (Express 4) that the plugin uses. */
export interface AdminApp {
  get(path: string, handler: AdminHandler): void;
  post(path: string, handler: AdminHandler): void;
  delete(path: string, handler: AdminHandler): void;
  use(path: string, handler: AdminHandler | AdminErrorHandler): void;
}

export interface AdminRequest extends IncomingMessage {
  readonly originalUrl: string;
  readonly params: Readonly<Record<string, string>>;
  /** The body parsed by the admin app, if it was JSON. */
  readonly body?: unknown;
}

export type AdminHandler = (req: AdminRequest, res: ServerResponse) => void;
/** An error handler; Express recognizes it by its four parameters. */
export type AdminErrorHandler = (
  error: unknown,
  req: AdminRequest,
  res: ServerResponse,
  next: () => void,
) => void;

/** Thrown for a request that is refused; the client gets its status and message. */
export class AdminError extends Error {
  override name = 'AdminError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function sendJson(res: ServerResponse, status: number, value: unknown): void {
  send(res, status, 'application/json; charset=utf-8', JSON.stringify(value));
}

/**
 * Headers that keep a browser from storing, sniffing or framing a response, or showing it to
 * another site.
 */
const protection: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

export function send(
  res: ServerResponse,
  status: number,
  contentType: string,
  body: string | Uint8Array,
  more: Readonly<Record<string, string>> = {},
): void {
  sendHead(res, status, contentType, more);
  res.end(body);
}

/** Sets the status and headers of a response whose body is streamed. */
export function sendHead(
  res: ServerResponse,
  status: number,
  contentType: string,
  more: Readonly<Record<string, string>> = {},
): void {
  res.statusCode = status;
  res.setHeader('Content-Type', contentType);
  for (const [name, value] of Object.entries({ ...protection, ...more })) {
    res.setHeader(name, value);
  }
}

/** Returns the query's parameters. Throws an AdminError for one that is repeated or not `allowed`. */
export function readQuery<N extends string>(
  req: AdminRequest,
  allowed: readonly N[],
): Partial<Record<N, string>> {
  const start = req.originalUrl.indexOf('?');
  const found: Partial<Record<N, string>> = {};
  if (start < 0) return found;
  for (const [name, value] of new URLSearchParams(req.originalUrl.slice(start))) {
    const known = allowed.find((one) => one === name);
    if (known === undefined) {
      throw new AdminError(
        400,
        `unknown query parameter ${JSON.stringify(name.slice(0, 80))}, expected one of ${allowed.join(', ')}`,
      );
    }
    if (found[known] !== undefined) throw new AdminError(400, `"${known}" is given twice`);
    found[known] = value;
  }
  return found;
}

/** Decodes percent escapes; null if they are malformed or not UTF-8. */
export function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** Parses a flag such as `name=1`; absent is false. Throws an AdminError for another value. */
export function readFlag(name: string, value: string | undefined): boolean {
  if (value === undefined || value === '0' || value === 'false') return false;
  if (value === '1' || value === 'true') return true;
  throw new AdminError(400, `"${name}" must be 1 or 0`);
}

const maxBodyBytes = 16 * 1024 * 1024;
/** The shared bound of all bodies being read. */
const bodies = new ByteBudget(4 * maxBodyBytes);

/** Types that a form on any site can send cross-origin; no API client needs them. */
const formTypes = /^(application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

/** Throws an AdminError with the message `expected` if a form was sent. */
export function refuseForms(req: AdminRequest, expected: string): void {
  if (formTypes.test(req.headers['content-type'] ?? '')) throw new AdminError(415, expected);
}

/** Reads the body, passes its bytes to `use` and releases them afterwards. Throws an AdminError. */
export async function withBody<T>(
  req: AdminRequest,
  use: (bytes: Uint8Array) => Promise<T>,
): Promise<T> {
  refuseForms(
    req,
    'the body must be JSON: send it as application/json, or as text/plain if it is larger than 100 KB',
  );
  const slabs = new Slabs(bodies);
  try {
    for await (const chunk of req as AsyncIterable<Buffer>) {
      if (slabs.size + chunk.length > maxBodyBytes) {
        throw new AdminError(413, `the body is larger than ${maxBodyBytes} bytes`);
      }
      if (!slabs.add(chunk)) throw new AdminError(503, 'too many large bodies at once; ask again');
    }
    return await use(slabs.joined());
  } finally {
    slabs.release();
  }
}

/**
 * Returns the JSON body that an earlier parser has parsed; undefined if none did (another type, or
 * over 100 KB).
 */
export function parsedBody(req: AdminRequest): unknown {
  // The gateway's admin app sets an empty object if it has parsed nothing.
  const isJson = /^application\/json\b/i.test(req.headers['content-type'] ?? '');
  return req.readableEnded && isJson ? req.body : undefined;
}
