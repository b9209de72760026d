const plainTypes: ReadonlySet<string | undefined> = new Set([
  'application/json',
  'application/json; charset=utf-8',
  'application/json;charset=UTF-8',
]);

const jsonType = /^(?:(?:application|text)\/json|application\/[!#$&^_.+a-z0-9-]+\+json)$/;
const charset = /;\s*charset\s*=\s*(?:"([^"]*)"|([^;]*))/g;

/** Why a request body of that `Content-Type` is not read as JSON in UTF-8; null where it is, and without one. */
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

/** A `Content-Type` that an upstream may read in another way than plain `application/json`; else null. */
export function unusualType(contentType: string | undefined): string | null {
  if (plainTypes.has(contentType)) return null;
  const text = (contentType ?? '').toLowerCase();
  return /^\s*application\/json\s*$/.test(text.replace(charset, '')) ? null : text;
}

const takesJson = /(?:^|,)\s*(?:application\/json|application\/\*|\*\/\*)\s*(?:;([^,]*))?(?=,|$)/g;
const noWeight = /(?:^|;)\s*q\s*=\s*0(?:\.0*)?\s*(?:;|$)/;

/**
 * An `Accept` that may bring another answer than the body alone asks for: one that takes no JSON, or
 * asks for events where the body asks for no stream; else null.
 */
export function unusualAccept(accept: string | undefined, isStream: boolean): string | null {
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return null;
  const text = accept.toLowerCase();
  const wantsEvents = text.includes('text/event-stream');
  if (isStream && wantsEvents) return null;
  const isUsual = [...text.matchAll(takesJson)].some(([, params = '']) => !noWeight.test(params));
  return isUsual && !wantsEvents ? null : text;
}
