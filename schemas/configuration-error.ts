import type { Schema } from './schema.ts';
import { suggestion } from './suggestion.ts';

/** Thrown for an invalid configuration. Its message names the place, the parameter and what was expected. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

/** One fault of a value, in the shape of Ajv's errors. */
export interface Problem {
  /** The keyword of the schema that the value does not satisfy. */
  readonly keyword: string;
  /** A JSON pointer to the offending part. */
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly message?: string;
  readonly propertyName?: string;
  readonly parentSchema?: Schema;
  readonly data?: unknown;
}

/** Returns one error for all problems. Its message begins with `where`. */
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
      return null; // another error reports the same problem in full
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
      // The description says more than the regular expression.
      const { description } = error.parentSchema ?? {};
      if (typeof description !== 'string') break;
      return `${subject} must be ${description}${got(error)}`;
    }
    case 'required': {
      const missing = String(params['missingProperty']);
      return `"${parameter === '' ? '' : `${parameter}.`}${missing}" is missing${allowedOf(error) || meaningOf(missingSchema(error))}`;
    }
  }
  return `${subject} ${expectation(error)}${got(error)}${meaningOf(error.parentSchema)}`;
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
};

/** Says what to write, for an operator who may not know JSON Schema. */
function expectation({ keyword, params, message, parentSchema }: Problem): string {
  const limit = Number(params['limit']);
  switch (keyword) {
    case 'type':
      return `must be ${kinds[String(params['type'])] ?? String(params['type'])}${membersOf(parentSchema)}`;
    case 'minimum':
      return `must be at least ${limit}`;
    case 'maximum':
      return `must be at most ${limit}`;
    case 'minLength':
    case 'minItems':
      if (limit === 1) return 'must not be empty';
  }
  return message ?? 'is wrong';
}

const maxMembersShown = 4;

/** Lists the members that an object may have, so that the operator need not look them up. */
function membersOf(schema: Schema | undefined): string {
  const names = Object.keys(schema?.['properties'] ?? {});
  if (names.length === 0) return '';
  const more = names.length > maxMembersShown ? ', …' : '';
  return ` with ${names.slice(0, maxMembersShown).join(', ')}${more}`;
}

/** Returns the parameter's description in brackets, without the part about its default. */
function meaningOf(schema: Schema | undefined): string {
  const description = schema?.['description'];
  return typeof description === 'string' ? ` (${description.split(';', 1)[0]})` : '';
}

function missingSchema({ parentSchema, params }: Problem): Schema | undefined {
  const properties = parentSchema?.['properties'] as Record<string, Schema> | undefined;
  return properties?.[String(params['missingProperty'])];
}

/** Lists the values that the missing property may have, if the schema has a list. */
function allowedOf(problem: Problem): string {
  const allowed = missingSchema(problem)?.['enum'];
  return Array.isArray(allowed) ? `, expected one of ${allowed.join(', ')}` : '';
}

/** Returns the offending value for the message, unless it may be a secret. */
function got(error: Problem): string {
  // A url may contain a password, and an operator may write one in place of a store's settings.
  if (/secret|key|url|options|password|^\/stores\/[^/]+$/i.test(error.instancePath)) return '';
  const { data } = error;
  // JSON.stringify would turn an infinite number into null.
  const text = (typeof data === 'number' ? null : JSON.stringify(data)) ?? String(data);
  return `, got ${text.length > 80 ? `${text.slice(0, 80)}…` : text}`;
}
