import type { JsonObject } from '../json.ts';

/** Whether a payload has the top-level `error` by which every one of these APIs tells a failure. */
export function carriesError(json: JsonObject): boolean {
  return json['error'] !== undefined && json['error'] !== null;
}
