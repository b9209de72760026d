/**
 * A JSON schema, as far as this plugin needs the type: draft-07, the newest that the gateway's own
 * Ajv 6 knows.
 */
export type Schema = Readonly<Record<string, unknown>>;

/**
 * The schema of an object with exactly these members. The names are closed by `propertyNames`,
 * because the gateway's own message then names the wrong one.
 */
export function closed<P extends Readonly<Record<string, Schema>>>(
  properties: P,
  more: { readonly required?: readonly string[]; readonly allowed?: readonly string[] } = {},
) {
  const { required = [], allowed = [] } = more;
  return {
    type: 'object',
    properties,
    required,
    propertyNames: { enum: [...Object.keys(properties), ...allowed] },
  } as const;
}
