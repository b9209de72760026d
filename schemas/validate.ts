import { Ajv } from 'ajv';
import type { Schema } from './schema.ts';
import { copyOf } from './copy.ts';
import { configurationError } from './configuration-error.ts';

export { ConfigurationError } from './configuration-error.ts';

// No coercion: what the operator wrote is what is judged.
const ajv = new Ajv({
  allErrors: true,
  useDefaults: true,
  verbose: true,
  strict: false,
  // An infinite number is none: no entry could be kept with it.
  strictNumbers: true,
});

/**
 * A copy of `value` with every default filled in. `where` begins the message of the
 * ConfigurationError that is thrown when it does not satisfy `schema`.
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
