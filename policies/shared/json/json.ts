/** A JSON object as `JSON.parse` returns it. Everything in it comes from outside. */
export type JsonObject = { readonly [name: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `value` where it is a string that says something, cut to 256 characters; else null. */
export function nameOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : null;
}
