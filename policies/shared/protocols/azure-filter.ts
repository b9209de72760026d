import { isObject } from '../json/json.ts';
import { isError } from './error.ts';

/**
 * What Azure's content filter says in a choice or of a prompt: `error` where it was out of order and
 * let everything pass, true where it took something out.
 * https://learn.microsoft.com/en-us/azure/ai-services/openai/how-to/content-filters
 */
export function isFiltered(part: unknown): boolean | 'error' {
  if (!isObject(part)) return false;
  const results = part['content_filter_results'] ?? part['content_filter_result'];
  if (!isObject(results)) return false;
  if (isError(results)) return 'error';
  return Object.values(results).some((one) => isObject(one) && one['filtered'] === true);
}
