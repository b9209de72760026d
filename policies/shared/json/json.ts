/** A JSON object as `JSON.parse` returns it. All of it comes from outside and is untrusted. */
export type JsonObject = { readonly [name: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns `value`, cut to 256 characters, if it is a string that is not empty; else null. */
export function nameOrNull(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, 256) : null;
}
