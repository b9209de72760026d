/** A JSON Schema of draft-07, the newest draft that the gateway's own Ajv 6 supports. */
export type Schema = Readonly<Record<string, unknown>>;

/**
 * Returns the schema of an object that allows only these members. It uses `propertyNames`, because the
 * gateway's own message then names the wrong member.
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
