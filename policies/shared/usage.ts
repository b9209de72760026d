import { isObject, type JsonObject } from './json.ts';

/** Tokens as a provider counts them; null where it said nothing. */
export interface Usage {
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** The provider's own total, else the sum of the two. */
  readonly totalTokens: number | null;
  /** Parts of the above and units beside tokens, under the names of `detailNames`. */
  readonly details: Readonly<Record<string, number>>;
}

/** The one set of names for what providers tell beside the counts; the README's table is made from it. */
export const detailNames = {
  cached_tokens: 'input tokens read from the provider’s own prompt cache',
  cache_write_tokens: 'input tokens written to that cache',
  cache_write_1h_tokens: 'those of them that are kept for an hour',
  reasoning_tokens: 'output tokens spent on reasoning',
  input_audio_tokens: 'input tokens that are audio',
  output_audio_tokens: 'output tokens that are audio',
  input_image_tokens: 'input tokens that are images',
  input_text_tokens: 'input tokens that are text',
  output_text_tokens: 'output tokens that are text',
  accepted_prediction_tokens: 'tokens of a predicted output that were used',
  rejected_prediction_tokens: 'tokens of a predicted output that were not, and are billed',
  citation_tokens: 'tokens of citations',
  web_search_requests: 'web searches that the provider made',
  web_fetch_requests: 'pages that the provider fetched',
} as const;

type DetailName = keyof typeof detailNames;

/** Where each detail stands, by provider: OpenAI, Responses, Anthropic, DeepSeek, Moonshot, xAI, Perplexity. */
const detailPaths: Readonly<Record<DetailName, readonly string[]>> = {
  cached_tokens: [
    'prompt_tokens_details.cached_tokens',
    'input_tokens_details.cached_tokens',
    'cache_read_input_tokens',
    'prompt_cache_hit_tokens',
    'cached_tokens',
  ],
  cache_write_tokens: ['cache_creation_input_tokens', 'prompt_tokens_details.cache_write_tokens'],
  cache_write_1h_tokens: ['cache_creation.ephemeral_1h_input_tokens'],
  reasoning_tokens: [
    'completion_tokens_details.reasoning_tokens',
    'output_tokens_details.reasoning_tokens',
    'reasoning_tokens',
  ],
  input_audio_tokens: ['prompt_tokens_details.audio_tokens', 'input_tokens_details.audio_tokens'],
  output_audio_tokens: [
    'completion_tokens_details.audio_tokens',
    'output_tokens_details.audio_tokens',
  ],
  input_image_tokens: ['prompt_tokens_details.image_tokens', 'input_tokens_details.image_tokens'],
  input_text_tokens: ['prompt_tokens_details.text_tokens', 'input_tokens_details.text_tokens'],
  output_text_tokens: [
    'completion_tokens_details.text_tokens',
    'output_tokens_details.text_tokens',
  ],
  accepted_prediction_tokens: ['completion_tokens_details.accepted_prediction_tokens'],
  rejected_prediction_tokens: ['completion_tokens_details.rejected_prediction_tokens'],
  citation_tokens: ['citation_tokens'],
  web_search_requests: [
    'server_tool_use.web_search_requests',
    'server_side_tool_usage_details.web_search_calls',
    'num_search_queries',
  ],
  web_fetch_requests: ['server_tool_use.web_fetch_requests'],
};

/** The usage object of an answer, whichever provider's; null where it tells no count. */
export function readUsage(raw: unknown): Usage | null {
  if (!isObject(raw)) return null;
  const inputTokens = count(raw['prompt_tokens']) ?? count(raw['input_tokens']);
  const outputTokens = count(raw['completion_tokens']) ?? count(raw['output_tokens']);
  const sum = inputTokens !== null && outputTokens !== null ? inputTokens + outputTokens : null;
  const totalTokens = count(raw['total_tokens']) ?? sum;
  if (inputTokens === null && outputTokens === null && totalTokens === null) return null;
  return { inputTokens, outputTokens, totalTokens, details: readDetails(raw) };
}

function readDetails(raw: JsonObject): Record<string, number> {
  const details: Record<string, number> = {};
  for (const [name, paths] of Object.entries(detailPaths)) {
    for (const path of paths) {
      const value = count(at(raw, path));
      if (value === null) continue;
      details[name] = value;
      break;
    }
  }
  return details;
}

function at(raw: JsonObject, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, name) => (isObject(value) ? value[name] : null), raw);
}

function count(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : null;
}
