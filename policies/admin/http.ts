import type { IncomingMessage, ServerResponse } from 'node:http';

/** The gateway's admin app (Express 4), as far as the plugin uses it. */
export interface AdminApp {
  get(path: string, handler: AdminHandler): void;
  post(path: string, handler: AdminHandler): void;
  delete(path: string, handler: AdminHandler): void;
  use(path: string, handler: AdminHandler | AdminErrorHandler): void;
}

export interface AdminRequest extends IncomingMessage {
  readonly originalUrl: string;
  readonly params: Readonly<Record<string, string>>;
  /** Set by the admin app where the body was JSON. */
  readonly body?: unknown;
}

export type AdminHandler = (req: AdminRequest, res: ServerResponse) => void;
/** Express tells it by its four parameters. */
export type AdminErrorHandler = (
  error: unknown,
  req: AdminRequest,
  res: ServerResponse,
  next: () => void,
) => void;

/** A request that cannot be answered; its message is for whoever asked. */
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

/** No answer is kept, taken for another type, framed, or shown to another site. */
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
  res.statusCode = status;
  res.setHeader('Content-Type', contentType);
  for (const [name, value] of Object.entries({ ...protection, ...more })) {
    res.setHeader(name, value);
  }
  res.end(body);
}

/** The query's parameters, each at most once and each one of `allowed`. Throws an AdminError. */
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

/** What percent escapes stand for; null where they are malformed, or not UTF-8. */
export function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/** A flag as `name=1`; absent is false. Throws an AdminError. */
export function readFlag(name: string, value: string | undefined): boolean {
  if (value === undefined || value === '0' || value === 'false') return false;
  if (value === '1' || value === 'true') return true;
  throw new AdminError(400, `"${name}" must be 1 or 0`);
}

const maxBodyBytes = 16 * 1024 * 1024;

/** What a form of any site can send, and no program needs to. */
const formTypes = /^(application\/x-www-form-urlencoded|multipart\/form-data)\b/i;

/** The body as JSON: what a parser before has made of it, else (another content type, no bound of 100 KB) its text. */
export async function readJson(req: AdminRequest): Promise<unknown> {
  if (formTypes.test(req.headers['content-type'] ?? '')) {
    throw new AdminError(
      415,
      'the body must be JSON: send it as application/json, or as text/plain where it is larger than 100 KB',
    );
  }
  // The gateway's admin app leaves an empty object where it has parsed nothing.
  const isParsed = req.readableEnded && req.body !== undefined;
  if (isParsed && /^application\/json\b/i.test(req.headers['content-type'] ?? '')) return req.body;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes)
      throw new AdminError(413, `the body is larger than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch {
    throw new AdminError(400, 'the body is not JSON');
  }
}
