const plainTypes: ReadonlySet<string | undefined> = new Set([
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
]);

const jsonType = /^(?:(?:application|text)\/json|application\/[!#$&^_.+a-z0-9-]+\+json)$/;
const charset = /;\s*charset\s*=\s*(?:"([^"]*)"|([^;]*))/g;

/**
 * Returns why the cache does not read a body of that `Content-Type` as JSON in UTF-8; null if it
 * does, or if there is no `Content-Type`.
 */
export function problemOfType(contentType: string | undefined): 'not-json' | 'not-utf8' | null {
  if (contentType === undefined || plainTypes.has(contentType)) return null;
  const text = contentType.toLowerCase();
  const [type = ''] = text.split(';', 1);
  if (text.trim() !== '' && !jsonType.test(type.trim())) return 'not-json';
  for (const [, quoted, token = ''] of text.matchAll(charset)) {
    const name = (quoted ?? token).trim();
    if (name !== 'utf-8' && name !== 'utf8') return 'not-utf8';
  }
  return null;
}

/**
 * Returns the `Content-Type` in lower case if an upstream may interpret it differently from plain
 * `application/json`; else null.
 */
export function unusualType(contentType: string | undefined): string | null {
  if (plainTypes.has(contentType)) return null;
  const text = (contentType ?? '').toLowerCase();
  return /^\s*application\/json\s*$/.test(text.replace(charset, '')) ? null : text;
}

const acceptsJson =
  /(?:^|,)\s*(?:application\/json|application\/\*|\*\/\*)\s*(?:;([^,]*))?(?=,|$)/g;
const zeroWeight = /(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/;

/**
 * Returns the `Accept` in lower case if it may change the answer to the same body: it does not
 * accept JSON, or it asks for events although the body asks for no stream. Else null.
 */
export function unusualAccept(accept: string | undefined, isStream: boolean): string | null {
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return null;
  const text = accept.toLowerCase();
  const wantsEvents = text.includes('text/event-stream');
  if (isStream && wantsEvents) return null;
  const isUsual = [...text.matchAll(acceptsJson)].some(
    ([, params = '']) => !zeroWeight.test(params),
  );
  return isUsual && !wantsEvents ? null : text;
}
