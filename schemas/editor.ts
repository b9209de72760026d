import { conditionNames, llmNoCacheSchema, llmRequestSchema } from './conditions.ts';
import { llmCacheSchema } from './llm-cache.ts';
import { llmUsageSchema } from './llm-usage.ts';
import { pluginSchema } from './plugin.ts';
import type { Schema } from './schema.ts';

/** Names that the gateway itself adds to a configuration. */
const gatewayNames = new Set(['getCommonAuthCallback']);

/** A value that the gateway takes from the environment: a string in the file, whatever its type later. */
const variable = {
  type: 'string',
  pattern: '\\$\\{[A-Za-z0-9_]+(:-.*)?\\}',
  description: 'an environment variable, `${NAME}` or `${NAME:-default}`',
};

const step = { $ref: '#/definitions/step' };
const condition = { $ref: '#/definitions/condition' };
const policies = { $ref: '#/definitions/policies' };
const pipeline = { $ref: '#/definitions/pipeline' };

/**
 * The editor's schema of `gateway.config.yml`: the plugin's policies and conditions in full, and the
 * structure around them.
 */
export const gatewayConfigFile: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'gateway.config.yml of Express Gateway, with the policies llm-usage and llm-cache',
  type: 'object',
  properties: {
    pipelines: {
      anyOf: [
        { type: 'object', additionalProperties: pipeline },
        { type: 'array', items: pipeline },
      ],
    },
    pipeline: orList(pipeline),
  },
  definitions: {
    pipeline: {
      type: 'object',
      properties: {
        apiEndpoints: orList({ type: 'string' }),
        apiEndpoint: orList({ type: 'string' }),
        policies,
        policy: policies,
      },
    },
    policies: orList({ $ref: '#/definitions/policy' }),
    policy: {
      type: 'object',
      minProperties: 1,
      properties: {
        'llm-usage': orNull(orList({ $ref: '#/definitions/llm-usage' })),
        'llm-cache': orNull(orList({ $ref: '#/definitions/llm-cache' })),
      },
      additionalProperties: orNull(orList(step)),
    },
    'llm-usage': stepOf(llmUsageSchema),
    'llm-cache': stepOf(llmCacheSchema),
    step: { type: 'object', properties: { condition: orNull(condition) } },
    condition: {
      type: 'object',
      required: ['name'],
      properties: {
        // Other plugins may have conditions of their own.
        name: { anyOf: [{ enum: [...conditionNames] }, { type: 'string', minLength: 1 }] },
      },
      allOf: [
        ifNamed('llm-request', forFile(llmRequestSchema)),
        ifNamed('llm-no-cache', forFile(llmNoCacheSchema)),
        ...['allOf', 'oneOf'].map((name) =>
          ifNamed(name, {
            required: ['conditions'],
            properties: { conditions: { type: 'array', items: condition } },
          }),
        ),
        ifNamed('not', { required: ['condition'], properties: { condition } }),
      ],
    },
  },
};

const settings = { $ref: '#/definitions/settings' };

/** The editor's schema of `system.config.yml`: the plugin's settings in full. */
export const systemConfigFile: Schema = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'system.config.yml of Express Gateway, with the settings of llm-cache',
  type: 'object',
  properties: {
    plugins: {
      type: 'object',
      properties: { 'llm-cache': settings, 'express-gateway-plugin-llm-cache': settings },
    },
  },
  definitions: { settings: orNull(forFile(pluginSchema)) },
};

/** Returns the schema of a step of one of the plugin's policies, which allows no other members. */
function stepOf(action: Schema): Schema {
  return {
    type: 'object',
    properties: { condition: orNull(condition), action: orNull(forFile(action)) },
    additionalProperties: false,
  };
}

function ifNamed(name: string, schema: Schema): Schema {
  return { if: { required: ['name'], properties: { name: { const: name } } }, then: schema };
}

function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}

function orList(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'array', items: schema }] };
}

/** Returns `schema` for the file as written, in which each value may be a variable. */
function forFile(schema: Schema): Schema {
  // An `$id` would become the base of the references inside.
  const { $id: _id, ...rest } = schema;
  return withVariables(rest);
}

function withVariables(schema: Schema): Schema {
  const copy = Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, partWithVariables(keyword, value)]),
  );
  const { type, description, default: fallback } = schema;
  // A string without restrictions already allows a variable.
  const isAnyString = type === 'string' && !('enum' in schema) && !('pattern' in schema);
  if (typeof type !== 'string' || type === 'object' || isAnyString) return copy;
  const { description: _description, default: _default, ...value } = copy;
  return {
    ...(description !== undefined && { description }),
    ...(fallback !== undefined && { default: fallback }),
    anyOf: [value, variable],
  };
}

/** Applies `withVariables` to the schemas in a keyword's value. */
function partWithVariables(keyword: string, value: unknown): unknown {
  switch (keyword) {
    case 'items':
    case 'additionalProperties':
    case 'then':
      return isSchema(value) ? withVariables(value) : value;
    case 'allOf':
      return Array.isArray(value)
        ? value.map((one) => (isSchema(one) ? withVariables(one) : (one as unknown)))
        : value;
    case 'properties':
      return isSchema(value)
        ? Object.fromEntries(
            Object.entries(value).map(([name, one]) => [
              name,
              isSchema(one) ? withVariables(one) : one,
            ]),
          )
        : value;
    case 'propertyNames':
      return isSchema(value) && Array.isArray(value['enum'])
        ? { enum: value['enum'].filter((name) => !gatewayNames.has(String(name))) }
        : value;
    default:
      return value;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
