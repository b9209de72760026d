import { countOf } from './count.ts';
import { isObject, type JsonObject } from './json/json.ts';
import { type DetailName, readDetails } from './usage-details.ts';

/** The tokens of a request that the main counts of its usage leave out. */
export interface Iterations {
  readonly input: number;
  readonly output: number;
  readonly details: Readonly<Partial<Record<DetailName, number>>>;
}

/** More iterations than any answer has. */
const maxIterations = 1024;

/** The names of a compaction's own details, by the detail that it breaks down. */
const compactionParts: Readonly<Record<string, DetailName>> = {
  cached_tokens: 'compaction_cached_tokens',
  cache_write_tokens: 'compaction_cache_write_tokens',
  cache_write_1h_tokens: 'compaction_cache_write_1h_tokens',
};

/**
 * Reads the sampling steps of an Anthropic answer; null if it lists none. The main counts of its
 * usage leave out the steps of a compaction and of an advisor (another model), but the provider
 * bills the sum of all steps.
 * https://platform.claude.com/docs/en/build-with-claude/compaction
 */
export function readIterations(raw: unknown): Iterations | null {
  if (!Array.isArray(raw)) return null;
  const steps = raw.slice(0, maxIterations).filter(isObject);
  const ofType = (type: string) => steps.filter((step) => step['type'] === type);
  const compactions = ofType('compaction');
  const input = sum(compactions, 'input_tokens');
  const output = sum(compactions, 'output_tokens');
  const details: Partial<Record<DetailName, number>> = {
    compaction_input_tokens: input,
    compaction_output_tokens: output,
    // If a fallback model answered, the steps before it are those of a model that declined.
    other_model_tokens:
      allTokens(ofType('advisor_message')) +
      (ofType('fallback_message').length > 0 ? allTokens(ofType('message')) : 0),
  };
  for (const [name, value] of compactions.flatMap(readDetails)) {
    const part = compactionParts[name];
    if (part !== undefined) details[part] = (details[part] ?? 0) + value;
  }
  return { input, output, details };
}

function sum(steps: readonly JsonObject[], ...names: readonly string[]): number {
  return steps
    .flatMap((step) => names.map((name) => countOf(step[name]) ?? 0))
    .reduce((total, value) => total + value, 0);
}

function allTokens(steps: readonly JsonObject[]): number {
  const cache = ['cache_read_input_tokens', 'cache_creation_input_tokens'];
  return sum(steps, 'input_tokens', 'output_tokens', ...cache);
}
