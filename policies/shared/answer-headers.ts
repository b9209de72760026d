/** Response headers that describe the answer itself; only these are stored and replayed. */
const answerHeaders: readonly string[] = ['content-type', 'openai-model', 'openai-version'];
const allowOrigin = 'access-control-allow-origin';

const cacheControl = 'cache-control';
const noTransform = 'no-transform';

const maxValueLength = 1024;
/** RFC 9110 §5.5: visible characters, spaces and tabs; so no CR, LF or NUL. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function isValue(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxValueLength && fieldValue.test(value);
}

/** Returns the headers of an answer that are stored, by lower-case name. */
export function keptHeaders(
  header: (name: string) => string | undefined,
): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const name of answerHeaders) {
    const value = header(name);
    if (isValue(value)) kept[name] = value;
  }
  // Any other origin belongs to one client.
  if (header(allowOrigin) === '*') kept[allowOrigin] = '*';
  // The other directives of the provider do not apply to a replay.
  if (isNoTransform(header(cacheControl))) kept[cacheControl] = noTransform;
  return kept;
}

/** Whether a `Cache-Control` forbids another content coding (RFC 9111, sections 5.2.1.6 and 5.2.2.6). */
export function isNoTransform(value: string | undefined): boolean {
  if (value === undefined || value.length < noTransform.length) return false;
  if (value === noTransform) return true;
  return value.split(',').some((directive) => directive.trim().toLowerCase() === noTransform);
}

/** Whether `keptHeaders` can have returned `headers`; no others may be replayed. */
export function isKept(
  headers: Readonly<Record<string, unknown>>,
): headers is Readonly<Record<string, string>> {
  return Object.entries(headers).every(([name, value]) => {
    if (name === allowOrigin) return value === '*';
    if (name === cacheControl) return value === noTransform;
    return answerHeaders.includes(name) && isValue(value);
  });
}
