import { isObject } from '../json/json.ts';
import { isError } from './error.ts';

/**
 * Reads what Azure's content filter reports on a choice or a prompt: `error` if the filter failed and
 * let everything pass, true if it removed something.
 * https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/content-filters
 */
export function isFiltered(part: unknown): boolean | 'error' {
  if (!isObject(part)) return false;
  const results = part['content_filter_results'] ?? part['content_filter_result'];
  if (!isObject(results)) return false;
  if (isError(results)) return 'error';
  return Object.values(results).some((one) => isObject(one) && one['filtered'] === true);
}
