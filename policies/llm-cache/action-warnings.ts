import { llmCacheSchema } from '../../schemas/llm-cache.ts';
import { timeWarnings } from './time-warnings.ts';

/** Members that hold the prompt or the model, in every API. */
const essentialFields = new Set(
  (
    'model messages input prompt system instructions tools contents systemInstruction content ' +
    'requests query documents texts'
  ).split(' '),
);

/** Returns one sentence per parameter of `llm-cache` that is valid but likely a mistake. */
export function actionWarnings(
  action: Readonly<Record<string, unknown>>,
  where: string,
): readonly string[] {
  const warnings = [...timeWarnings(action, where)];
  for (const field of stringsIn(action['ignoreFields'])) {
    if (essentialFields.has(field)) {
      warnings.push(
        `${where}: "ignoreFields" names "${field}", so requests that differ in it get one another’s answers; name only what does not change the answer`,
      );
    } else if (field.includes('.')) {
      warnings.push(
        `${where}: "ignoreFields" names "${field}", but only a top-level member can be left out of the key, and only as a whole; name "${field.split('.', 1)[0]}", or leave it in`,
      );
    }
  }
  const credentials = new Set<string>(llmCacheSchema.properties.credentialHeaders.default);
  if (action['scope'] === 'shared' || action['scope'] === 'consumer') return warnings;
  for (const header of stringsIn(action['ignoreHeaders'])) {
    if (!credentials.has(header.toLowerCase())) continue;
    warnings.push(
      `${where}: "ignoreHeaders" names "${header}", so callers with different credentials in it get one another’s answers; if that is meant, write scope: shared`,
    );
  }
  return warnings;
}

function stringsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}
