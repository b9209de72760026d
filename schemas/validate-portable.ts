import type { Schema } from './schema.ts';
import { copyOf } from './copy.ts';
import { configurationError, type Problem } from './configuration-error.ts';

/**
 * Does what `validate` does, with the same messages, for runtimes that forbid the code generation
 * that Ajv needs. It supports only the keywords of flat schemas, in the functions below.
 */
export function check<T>(schema: Schema, value: unknown, where: string): T {
  const copy: unknown = copyOf(value ?? {});
  const problems: Problem[] = [];
  checkValue(schema, copy, { path: '', problems });
  if (problems.length > 0) throw configurationError(where, problems);
  return copy as T;
}

interface Place {
  /** A JSON pointer. */
  readonly path: string;
  readonly problems: Problem[];
}

type TypeCheck = (schema: Schema, value: never, place: Place) => void;

const isType: Readonly<Record<string, (value: unknown) => boolean>> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => Number.isFinite(value),
  integer: (value) => Number.isInteger(value),
  array: (value) => Array.isArray(value),
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

/** By the type that a schema requires. */
const checksByType: Readonly<Record<string, TypeCheck>> = {
  string: checkString,
  number: checkNumber,
  integer: checkNumber,
  array: checkArray,
  object: checkObject,
};

function checkValue(schema: Schema, value: unknown, place: Place): void {
  const type = String(schema['type']);
  const isRight = isType[type]?.(value) === true;
  if (!isRight) report('type', { type }, `must be ${type}`, schema, value, place);
  // A number that is not an integer may also be out of range.
  if (isRight || (type === 'integer' && isType['number']?.(value) === true)) {
    checksByType[type]?.(schema, value as never, place);
  }
  checkEnum(schema, value, place);
}

function checkEnum(schema: Schema, value: unknown, place: Place, propertyName?: string): void {
  const allowed = schema['enum'];
  if (!Array.isArray(allowed) || allowed.includes(value)) return;
  const message = 'must be equal to one of the allowed values';
  report('enum', { allowedValues: allowed }, message, schema, value, place, propertyName);
}

function checkString(schema: Schema, value: string, place: Place): void {
  // Counts code points, as Ajv does.
  const { length } = Array.from(value);
  const { maxLength, minLength } = schema;
  if (typeof maxLength === 'number' && length > maxLength) {
    const message = `must NOT have more than ${maxLength} characters`;
    report('maxLength', { limit: maxLength }, message, schema, value, place);
  }
  if (typeof minLength === 'number' && length < minLength) {
    const message = `must NOT have fewer than ${minLength} characters`;
    report('minLength', { limit: minLength }, message, schema, value, place);
  }
}

function checkNumber(schema: Schema, value: number, place: Place): void {
  const { maximum, minimum } = schema;
  if (typeof maximum === 'number' && value > maximum) {
    const params = { comparison: '<=', limit: maximum };
    report('maximum', params, `must be <= ${maximum}`, schema, value, place);
  }
  if (typeof minimum === 'number' && value < minimum) {
    const params = { comparison: '>=', limit: minimum };
    report('minimum', params, `must be >= ${minimum}`, schema, value, place);
  }
}

function checkArray(schema: Schema, value: readonly unknown[], place: Place): void {
  const items = schema['items'];
  for (const [index, item] of value.entries()) {
    if (isSchema(items)) checkValue(items, item, below(place, String(index)));
  }
}

function checkObject(schema: Schema, value: Record<string, unknown>, place: Place): void {
  const { properties, required, propertyNames, additionalProperties } = schema;
  const members = isSchema(properties) ? properties : {};
  for (const [name, member] of Object.entries(members)) {
    if (value[name] !== undefined || !isSchema(member) || member['default'] === undefined) continue;
    value[name] = structuredClone(member['default']);
  }
  for (const name of Array.isArray(required) ? required.map(String) : []) {
    if (value[name] !== undefined) continue;
    const message = `must have required property '${name}'`;
    report('required', { missingProperty: name }, message, schema, value, place);
  }
  for (const name of Object.keys(value)) {
    if (isSchema(propertyNames)) checkEnum(propertyNames, name, place, name);
  }
  for (const [name, member] of Object.entries(value)) {
    if (Object.hasOwn(members, name) || !isSchema(additionalProperties)) continue;
    checkValue(additionalProperties, member, below(place, name));
  }
  for (const [name, member] of Object.entries(members)) {
    if (isSchema(member) && value[name] !== undefined)
      checkValue(member, value[name], below(place, name));
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null;
}

function below({ path, problems }: Place, name: string): Place {
  return { path: `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, problems };
}

function report(
  keyword: string,
  params: Problem['params'],
  message: string,
  parentSchema: Schema,
  data: unknown,
  place: Place,
  propertyName?: string,
): void {
  const optional = propertyName === undefined ? {} : { propertyName };
  const { path: instancePath, problems } = place;
  problems.push({ keyword, params, message, parentSchema, data, instancePath, ...optional });
}
