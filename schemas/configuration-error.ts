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

/** What an operator, who need not know JSON schemas, has to write. */
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

const mostMembers = 4;

/** What an object may have, so that it need not be looked up. */
function membersOf(schema: Schema | undefined): string {
  const names = Object.keys((schema?.['properties'] ?? {}) as Record<string, Schema>);
  if (names.length === 0) return '';
  const more = names.length > mostMembers ? ', …' : '';
  return ` with ${names.slice(0, mostMembers).join(', ')}${more}`;
}

/** What the parameter is for, in short: what it says of its default is of no help here. */
function meaningOf(schema: Schema | undefined): string {
  const description = schema?.['description'];
  return typeof description === 'string' ? ` (${description.split(';', 1)[0]})` : '';
}

function missingSchema({ parentSchema, params }: Problem): Schema | undefined {
  const properties = parentSchema?.['properties'] as Record<string, Schema> | undefined;
  return properties?.[String(params['missingProperty'])];
}

/** What the missing property may be, where there is a list. */
function allowedOf(problem: Problem): string {
  const allowed = missingSchema(problem)?.['enum'];
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
