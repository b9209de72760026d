import type { LlmRequest } from '../shared/exchange.ts';
import { isNoTransform } from '../shared/answer-headers.ts';
import type { CachedResponse, EntryHead } from './entry.ts';

/**
 * For a shorter body, decompression costs the client more than the transfer costs the server. The
 * same holds for one that compresses poorly, such as JSON.
 */
const minBytes = 64 * 1024;
const maxRatio = 1 / 4;

/** Returns whether the client accepts, and prefers, an answer with `Content-Encoding: gzip`. */
export function takesGzip(request: Pick<LlmRequest, 'header' | 'ownHeaders'>): boolean {
  // Both headers count: an operator may remove the forwarded one so that answers are not compressed.
  return (
    acceptsGzip(request.header('accept-encoding')) &&
    acceptsGzip(ownHeader(request.ownHeaders, 'accept-encoding')) &&
    !isNoTransform(request.header('cache-control'))
  );
}

/** Returns whether a client that accepts gzip gets a body of `bytes` as its `stored` gzip bytes. */
export function isSentCompressed(
  { headers }: Pick<EntryHead, 'headers'>,
  bytes: number,
  stored: number,
): boolean {
  if (bytes < minBytes || stored > bytes * maxRatio) return false;
  return !isNoTransform(headers['cache-control']);
}

/** Returns whether answers from that entry may depend on `Accept-Encoding`. */
export function isNegotiated({ headers, coding, body }: CachedResponse): boolean {
  if (coding !== undefined) return true;
  return body.length >= minBytes && !isNoTransform(headers['cache-control']);
}

/**
 * Returns whether `Accept-Encoding` allows gzip and does not prefer `identity` (RFC 9110, section
 * 12.5.3). False without the header.
 */
export function acceptsGzip(header: string | undefined): boolean {
  if (header === undefined) return false;
  // Most clients send the same header.
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
    // RFC 9110, section 8.4.1.3: `x-gzip` is an alias.
    weights.set(coding === 'x-gzip' ? 'gzip' : coding, weight);
  }
  const gzip = weights.get('gzip') ?? weights.get('*') ?? 0;
  return gzip > 0 && gzip >= (weights.get('identity') ?? 0);
}

/** Returns the weight, 1 by default; null if it is malformed. */
function weightIn(parameters: readonly string[]): number | null {
  const text = parameters.find((one) => /^q\s*=/.test(one))?.replace(/^q\s*=\s*/, '');
  if (text === undefined) return 1;
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : null;
}

/** Joins the header lines of that name in order; undefined if there is none. */
function ownHeader(lines: readonly string[], name: string): string | undefined {
  const values = [];
  for (let at = 0; at < lines.length; at += 2) {
    const found = lines[at] ?? '';
    if (found.length === name.length && found.toLowerCase() === name) values.push(lines[at + 1]);
  }
  return values.length === 0 ? undefined : values.join(', ');
}
