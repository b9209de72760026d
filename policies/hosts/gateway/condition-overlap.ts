import { isDeepStrictEqual } from 'node:util';
import { isObject, type JsonObject } from '../../shared/json/json.ts';

/** Whether `earlier` certainly matches every request that `later` matches. */
export function covers(earlier: unknown, later: unknown): boolean {
  if (!isObject(earlier) || earlier['name'] === 'always') return true;
  if (!isObject(later)) return covers(earlier, { name: 'always' });
  if (later['name'] === 'never' || isDeepStrictEqual(earlier, later)) return true;
  if (earlier['name'] === 'oneOf' && partsOf(earlier).some((one) => covers(one, later)))
    return true;
  if (later['name'] === 'allOf' && partsOf(later).some((one) => covers(earlier, one))) return true;
  return isWiderRequest(earlier, later);
}

/** An `llm-request` without `protocols` matches every request that the plugin's policies act on. */
function isWiderRequest(earlier: JsonObject, later: JsonObject): boolean {
  if (earlier['name'] !== 'llm-request' || earlier['paths'] !== undefined) return false;
  const { protocols } = earlier;
  if (!Array.isArray(protocols)) return true;
  const some = later['name'] === 'llm-request' ? later['protocols'] : undefined;
  return Array.isArray(some) && some.every((one) => protocols.includes(one));
}

function partsOf({ conditions }: JsonObject): readonly unknown[] {
  return Array.isArray(conditions) ? conditions : [];
}
