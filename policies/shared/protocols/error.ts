import type { JsonObject } from '../json.ts';

/**
 * Whether a payload tells a failure: by a top-level `error`, as all of these APIs do, by
 * `type: "error"` (Anthropic, Responses) or by `object: "error"` (Mistral, vLLM).
 */
export function carriesError(json: JsonObject): boolean {
  const { error, type, object } = json;
  return (error !== undefined && error !== null) || type === 'error' || object === 'error';
}
