/** Response headers that say something of the answer itself; only these are stored and replayed. */
const answerHeaders: readonly string[] = ['content-type', 'openai-model', 'openai-version'];
const allowOrigin = 'access-control-allow-origin';

const maxValueLength = 1024;
/** RFC 9110 §5.5: visible characters, spaces and tabs; so no CR, LF or NUL. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function isValue(value: unknown): value is string {
  return typeof value === 'string' && value.length <= maxValueLength && fieldValue.test(value);
}

/** What is kept of an answer's headers, by lower-case name. */
export function keptHeaders(
  header: (name: string) => string | undefined,
): Readonly<Record<string, string>> {
  const kept: Record<string, string> = {};
  for (const name of answerHeaders) {
    const value = header(name);
    if (isValue(value)) kept[name] = value;
  }
  // Any other origin is one client's own.
  if (header(allowOrigin) === '*') kept[allowOrigin] = '*';
  return kept;
}

/** Whether `headers` are what `keptHeaders` gives: nothing else may be replayed. */
export function isKept(
  headers: Readonly<Record<string, unknown>>,
): headers is Readonly<Record<string, string>> {
  return Object.entries(headers).every(([name, value]) =>
    name === allowOrigin ? value === '*' : answerHeaders.includes(name) && isValue(value),
  );
}
