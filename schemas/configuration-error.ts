import type { Schema } from './schema.ts';
import { suggestion } from './suggestion.ts';

/** A configuration that cannot be used. Its message names the place, the parameter and what was expected. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

/** One thing that is wrong with a value, in Ajv's terms. */
export interface Problem {
  /** The schema's keyword that it does not satisfy. */
  readonly keyword: string;
  /** A JSON pointer to the offending part. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
  readonly propertyName?: string;
  readonly parentSchema?: Schema;
  readonly data?: unknown;
}

/** The error that says all of it. `where` begins its message. */
export function configurationError(
  where: string,
  problems: readonly Problem[],
): ConfigurationError {
  const texts = problems.map(describe).filter((text) => text !== null);
  return new ConfigurationError(`${where}: ${[...new Set(texts)].join('; ')}`);
}

function describe(error: Problem): string | null {
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
      const names = (params['allowedValues'] as unknown[]).filter(
        (name) => name !== 'getCommonAuthCallback' && name !== 'package',
      );
      const allowed = names.join(', ');
      return error.propertyName === undefined
        ? `${subject} must be one of ${allowed}${got(error)}${suggestion(error.data, names)}`
        : `unknown parameter "${parameter === '' ? '' : `${parameter}.`}${error.propertyName}", expected one of ${allowed}${suggestion(error.propertyName, names)}`;
    }
    case 'pattern': {
      // What the pattern stands for says more than the pattern.
      const { description } = error.parentSchema ?? {};
      if (typeof description !== 'string') break;
      return `${subject} must be ${description}${got(error)}`;
    }
    case 'required':
      return `"${parameter === '' ? '' : `${parameter}.`}${String(params['missingProperty'])}" is missing${allowedOf(error)}`;
  }
  return `${subject} ${error.message ?? 'is wrong'}${got(error)}`;
}

/** What the missing property may be, where there is a list. */
function allowedOf({ parentSchema, params }: Problem): string {
  const properties = parentSchema?.['properties'] as Record<string, Schema> | undefined;
  const allowed = properties?.[String(params['missingProperty'])]?.['enum'];
  return Array.isArray(allowed) ? `, expected one of ${allowed.join(', ')}` : '';
}

/** The offending value, unless it is one that must not be shown. */
function got(error: Problem): string {
  // A store may be a url with a password in it, and so may what stands in its place.
  if (/secret|key|url|options|password|^\/stores\/[^/]+$/i.test(error.instancePath)) return '';
  const { data } = error;
  // JSON knows no infinite number.
  const text = (typeof data === 'number' ? null : JSON.stringify(data)) ?? String(data);
  return `, got ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}
