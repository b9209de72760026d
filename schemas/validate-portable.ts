import type { Schema } from './schema.ts';
import { copyOf } from './copy.ts';
import { configurationError, type Problem } from './configuration-error.ts';

/**
 * What `validate` does, in the same words, for runtimes that forbid code made from text, as Ajv
 * does. It knows the keywords that flat schemas need, and no more: see `judges`.
 */
export function check<T>(schema: Schema, value: unknown, where: string): T {
  const copy: unknown = copyOf(value ?? {});
  const problems: Problem[] = [];
  judge(schema, copy, { path: '', problems });
  if (problems.length > 0) throw configurationError(where, problems);
  return copy as T;
}

interface Place {
  /** A JSON pointer. */
  readonly path: string;
  readonly problems: Problem[];
}

type Judge = (schema: Schema, value: never, place: Place) => void;

const isType: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => Number.isFinite(value),
  integer: (value) => Number.isInteger(value),
  array: (value) => Array.isArray(value),
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

/** By the type that a schema asks for. */
const judges: Readonly<Record<string, Judge>> = {
  string: judgeString,
  number: judgeNumber,
  integer: judgeNumber,
  array: judgeArray,
  object: judgeObject,
};

function judge(schema: Schema, value: unknown, place: Place): void {
  const type = String(schema['type']);
  const isRight = isType[type]?.(value) === true;
  if (!isRight) found('type', { type }, `must be ${type}`, schema, value, place);
  // A number that is no integer may be too small as well.
  if (isRight || (type === 'integer' && isType['number']?.(value) === true)) {
    judges[type]?.(schema, value as never, place);
  }
  judgeEnum(schema, value, place);
}

function judgeEnum(schema: Schema, value: unknown, place: Place, propertyName?: string): void {
  const allowed = schema['enum'];
  if (!Array.isArray(allowed) || allowed.includes(value)) return;
  const message = 'must be equal to one of the allowed values';
  found('enum', { allowedValues: allowed }, message, schema, value, place, propertyName);
}

function judgeString(schema: Schema, value: string, place: Place): void {
  // As Ajv counts: a character beyond the first 65,536 is one.
  const { length } = Array.from(value);
  const { maxLength, minLength } = schema;
  if (typeof maxLength === 'number' && length > maxLength) {
    const message = `must NOT have more than ${maxLength} characters`;
    found('maxLength', { limit: maxLength }, message, schema, value, place);
  }
  if (typeof minLength === 'number' && length < minLength) {
    const message = `must NOT have fewer than ${minLength} characters`;
    found('minLength', { limit: minLength }, message, schema, value, place);
  }
}

function judgeNumber(schema: Schema, value: number, place: Place): void {
  const { maximum, minimum } = schema;
  if (typeof maximum === 'number' && value > maximum) {
    const params = { comparison: '<=', limit: maximum };
    found('maximum', params, `must be <= ${maximum}`, schema, value, place);
  }
  if (typeof minimum === 'number' && value < minimum) {
    const params = { comparison: '>=', limit: minimum };
    found('minimum', params, `must be >= ${minimum}`, schema, value, place);
  }
}

function judgeArray(schema: Schema, value: readonly unknown[], place: Place): void {
  const items = schema['items'];
  for (const [index, item] of value.entries()) {
    if (isSchema(items)) judge(items, item, below(place, String(index)));
  }
}

function judgeObject(schema: Schema, value: Record<string, unknown>, place: Place): void {
  const { properties, required, propertyNames, additionalProperties } = schema;
  const members = isSchema(properties) ? properties : {};
  for (const [name, member] of Object.entries(members)) {
    if (value[name] !== undefined || !isSchema(member) || member['default'] === undefined) continue;
    value[name] = structuredClone(member['default']);
  }
  for (const name of Array.isArray(required) ? required.map(String) : []) {
    if (value[name] !== undefined) continue;
    const message = `must have required property '${name}'`;
    found('required', { missingProperty: name }, message, schema, value, place);
  }
  for (const name of Object.keys(value)) {
    if (isSchema(propertyNames)) judgeEnum(propertyNames, name, place, name);
  }
  for (const [name, member] of Object.entries(value)) {
    if (Object.hasOwn(members, name) || !isSchema(additionalProperties)) continue;
    judge(additionalProperties, member, below(place, name));
  }
  for (const [name, member] of Object.entries(members)) {
    if (isSchema(member) && value[name] !== undefined)
      judge(member, value[name], below(place, name));
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null;
}

function below({ path, problems }: Place, name: string): Place {
  return { path: `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, problems };
}

function found(
  keyword: string,
  params: Problem['params'],
  message: string,
  parentSchema: Schema,
  data: unknown,
  place: Place,
  propertyName?: string,
): void {
  const named = propertyName === undefined ? {} : { propertyName };
  const { path: instancePath, problems } = place;
  problems.push({ keyword, params, message, parentSchema, data, instancePath, ...named });
}
