import { Ajv } from 'ajv';
import type { Schema } from './schema.ts';
import { copyOf } from './copy.ts';
import { configurationError } from './configuration-error.ts';

export { ConfigurationError } from './configuration-error.ts';

// No coercion: the value is validated as the operator wrote it.
const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  verbose: true,
  strict: false,
  // Rejects infinite numbers, with which no entry could be stored.
  strictNumbers: true,
});

/**
 * Returns a copy of `value` with every default filled in. Throws a ConfigurationError, whose message
 * begins with `where`, if it does not satisfy `schema`.
 */
export function validate<T>(
  schema: Schema & { readonly $id: string },
  value: unknown,
  where: string,
): T {
  const check = ajv.getSchema(schema.$id) ?? ajv.compile(schema);
  const copy = copyOf(value ?? {});
  if (check(copy)) return copy as T;
  throw configurationError(where, check.errors ?? []);
}
