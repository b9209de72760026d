/** Returns the format of an answer by its `Content-Type`; null for one that no protocol here uses. */
export function formatOf(contentType: string | undefined): 'json' | 'sse' | null {
  // The fast path: nearly all providers send one of these.
  if (contentType === 'application/json') return 'json';
  if (contentType === 'text/event-stream; charset=utf-8') return 'sse';
  const type = ((contentType ?? '').split(';')[0] ?? '').trim().toLowerCase();
  if (type === 'text/event-stream') return 'sse';
  return type === 'application/json' || type.endsWith('+json') ? 'json' : null;
}

/** More codings than any client applies. */
export const maxCodings = 3;

/** Returns the codings of a `Content-Encoding` in the order in which they were applied. */
export function contentCodings(contentEncoding: string): string[] {
  if (contentEncoding === '') return [];
  return contentEncoding
    .toLowerCase()
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'identity');
}
