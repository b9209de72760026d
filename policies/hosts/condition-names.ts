import { conditionNames as known } from '../../schemas/conditions.ts';
import { suggestion } from '../../schemas/suggestion.ts';
import { ConfigurationError } from '../../schemas/validate.ts';
import { isObject } from '../shared/json/json.ts';

/**
 * Throws a ConfigurationError if a step has a condition that does not exist. The gateway itself would
 * only report that something is not a function. `hasOthers` means that other plugins may add conditions.
 */
export function checkConditionName(condition: unknown, where: string, hasOthers: boolean): void {
  const expected = `expected an object whose "name" is one of ${known.join(', ')}`;
  // The gateway treats null, false and an empty string as no condition.
  if (!condition) return;
  if (!isObject(condition)) {
    const name = known.find((one) => one === condition);
    const hint = name === undefined ? suggestion(condition, known) : `; write { name: ${name} }`;
    throw new ConfigurationError(`${where}: the condition is not an object, ${expected}${hint}`);
  }
  const { name } = condition;
  if (typeof name !== 'string' || name === '') {
    throw new ConfigurationError(`${where}: the condition has no "name", ${expected}`);
  }
  if (known.some((one) => one === name)) return checkInner(condition, where, hasOthers);
  if (hasOthers) return;
  throw new ConfigurationError(
    `${where}: there is no condition ${JSON.stringify(name.slice(0, 80))}, expected one of ${known.join(', ')}${suggestion(name, known)}`,
  );
}

/** Checks the members of `allOf`, `oneOf` and `not`. */
function checkInner(
  condition: Readonly<Record<string, unknown>>,
  where: string,
  hasOthers: boolean,
): void {
  const { name, conditions, condition: single } = condition;
  const needsList = name === 'allOf' || name === 'oneOf';
  if (needsList && !Array.isArray(conditions)) {
    throw new ConfigurationError(`${where}: the condition ${name} needs a list of "conditions"`);
  }
  if (name === 'not' && !isObject(single)) {
    throw new ConfigurationError(`${where}: the condition not needs a "condition"`);
  }
  const inner = needsList ? (conditions as readonly unknown[]) : name === 'not' ? [single] : [];
  for (const one of inner) {
    if (!isObject(one)) {
      throw new ConfigurationError(
        `${where}: the condition ${String(name)} has a member that is not an object`,
      );
    }
    checkConditionName(one, where, hasOthers);
  }
}
