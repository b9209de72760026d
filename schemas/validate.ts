import { Ajv, type ErrorObject } from 'ajv';
import type { Schema } from './closed.ts';

/** A configuration that cannot be used. Its message names the place, the parameter and what was expected. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

// No coercion: what the operator wrote is what is judged.
const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, strict: false });

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
  const problems = (check.errors ?? []).map(describe).filter((text) => text !== null);
  throw new ConfigurationError(`${where}: ${[...new Set(problems)].join('; ')}`);
}

/** What is no plain data (a function, a Buffer, among a client's own options) stays what it is. */
function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, copyOf(part)]));
}

function describe(error: ErrorObject): string | null {
  const parameter = error.instancePath
    .slice(1)
    .replaceAll('/', '.')
    .replaceAll('~1', '/')
    .replaceAll('~0', '~');
  const subject = parameter === '' ? 'the value' : `"${parameter}"`;
  const { params } = error;
  switch (error.keyword) {
    case 'propertyNames':
    case 'if':
      return null; // the error beside it says the same in full
    case 'enum': {
      const allowed = (params['allowedValues'] as unknown[])
        .filter((name) => name !== 'getCommonAuthCallback' && name !== 'package')
        .join(', ');
      return error.propertyName === undefined
        ? `${subject} must be one of ${allowed}${got(error)}`
        : `unknown parameter "${parameter === '' ? '' : `${parameter}.`}${error.propertyName}", expected one of ${allowed}`;
    }
    case 'required':
      return `"${parameter === '' ? '' : `${parameter}.`}${params['missingProperty']}" is missing${allowedOf(error)}`;
    default:
      return `${subject} ${error.message ?? 'is wrong'}${got(error)}`;
  }
}

/** What the missing property may be, where there is a list. */
function allowedOf({ parentSchema, params }: ErrorObject): string {
  const properties = parentSchema?.['properties'] as Record<string, Schema> | undefined;
  const allowed = properties?.[String(params['missingProperty'])]?.['enum'];
  return Array.isArray(allowed) ? `, expected one of ${allowed.join(', ')}` : '';
}

/** The offending value, unless it is one that must not be shown. */
function got(error: ErrorObject): string {
  // A store may be a url with a password in it, and so may what stands in its place.
  if (/secret|key|url|options|password|^\/stores\/[^/]+$/i.test(error.instancePath)) return '';
  const text = JSON.stringify(error.data) ?? String(error.data);
  return `, got ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}
