import type { LlmRequest } from '../shared/exchange.ts';
import { isNoTransform } from '../shared/answer-headers.ts';
import type { CachedResponse, EntryHead } from './entry.ts';

/**
 * A shorter body costs a client more to expand than a server to send, and so does one that is not
 * much smaller: JSON.
 */
const leastBytes = 64 * 1024;
const mostOfIt = 1 / 4;

/** Whether the client can read, and wants, an answer with `Content-Encoding: gzip`. */
export function takesGzip(request: Pick<LlmRequest, 'header' | 'ownHeaders'>): boolean {
  // What will be forwarded as well: an operator may have taken it out, so that answers come plain.
  return (
    acceptsGzip(request.header('accept-encoding')) &&
    acceptsGzip(ownHeader(request.ownHeaders, 'accept-encoding')) &&
    !isNoTransform(request.header('cache-control'))
  );
}

/** Whether a body of so many bytes that takes `stored` of them is sent so to a client that takes it. */
export function isSentCompressed(
  { headers }: Pick<EntryHead, 'headers'>,
  bytes: number,
  stored: number,
): boolean {
  if (bytes < leastBytes || stored > bytes * mostOfIt) return false;
  return !isNoTransform(headers['cache-control']);
}

/** Whether answers with that entry may differ by what the client accepts. */
export function isNegotiated({ headers, coding, body }: CachedResponse): boolean {
  if (coding !== undefined) return true;
  return body.length >= leastBytes && !isNoTransform(headers['cache-control']);
}

/** RFC 9110, section 12.5.3. Without the header, and where the client prefers plain answers, they are. */
export function acceptsGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  // Most clients are of one kind.
  if (header !== last.header) last = { header, accepts: prefersGzip(header) };
  return last.accepts;
}

let last = { header: '', accepts: false };

function prefersGzip(header: string): boolean {
  const weights = new Map<string, number>();
  for (const member of header.split(',')) {
    const [coding = '', ...parameters] = member.split(';').map((part) => part.trim().toLowerCase());
    const weight = weightIn(parameters);
    if (weight === null) continue;
    // RFC 9110, section 8.4.1.3.
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, weight);
  }
  const gzip = weights.get('gzip') ?? weights.get('*') ?? 0;
  return gzip > 0 && gzip >= (weights.get('identity') ?? 0);
}

/** Null where it is none. */
function weightIn(parameters: readonly string[]): number | null {
  const text = parameters.find((one) => /^q\s*=/.test(one))?.replace(/^q\s*=\s*/, '');
  if (text === undefined) return 1;
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : null;
}

/** Lines of one name as one, as they came; undefined where there is none. */
function ownHeader(lines: readonly string[], name: string): string | undefined {
  const values = [];
  for (let at = 0; at < lines.length; at += 2) {
    const found = lines[at] ?? '';
    if (found.length === name.length && found.toLowerCase() === name) values.push(lines[at + 1]);
  }
  return values.length === 0 ? undefined : values.join(', ');
}
