import { countOf, isNoCount } from './count.ts';
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
  input_text_tokens: 'input tokens that are text',
  input_audio_tokens: 'input tokens that are audio',
  input_image_tokens: 'input tokens that are images',
  output_text_tokens: 'output tokens that are text',
  output_audio_tokens: 'output tokens that are audio',
  output_image_tokens: 'output tokens that are images',
  accepted_prediction_tokens: 'tokens of a predicted output that were used',
  rejected_prediction_tokens: 'tokens of a predicted output that were not, and are billed',
  citation_tokens: 'tokens of citations',
  input_audio_seconds: 'seconds of audio in the input',
  web_search_requests: 'web searches that the provider made',
  web_fetch_requests: 'pages that the provider fetched',
  sources_used: 'sources that a live search used',
  server_tool_calls: 'calls of tools that the provider runs itself',
} as const;

type DetailName = keyof typeof detailNames;

/**
 * Where each detail stands, the first that is there.
 * `prompt_…`, `completion_…`: https://platform.openai.com/docs/api-reference/chat/object (Groq, xAI, OpenRouter too)
 * `input_…`, `output_…`: https://platform.openai.com/docs/api-reference/responses/object
 * `cache_…`, `server_tool_use`, `thinking_tokens`: https://docs.anthropic.com/en/api/messages
 * `prompt_cache_hit_tokens`: https://api-docs.deepseek.com/guides/kv_cache
 * a `cached_tokens` of its own: https://platform.moonshot.ai/docs/api/chat
 * `num_sources_used`, `…server_side_tool…`: https://docs.x.ai/docs/api-reference
 * `citation_tokens`, `num_search_queries`: https://docs.perplexity.ai/api-reference/chat-completions-post
 * `prompt_audio_seconds`: https://docs.mistral.ai/api
 */
const detailPaths = pathsOf({
  cached_tokens: [
    'prompt_tokens_details.cached_tokens',
    'input_tokens_details.cached_tokens',
    'cache_read_input_tokens',
    'prompt_cache_hit_tokens',
    'cached_tokens',
  ],
  cache_write_tokens: [
    'prompt_tokens_details.cache_write_tokens',
    'input_tokens_details.cache_write_tokens',
    'cache_creation_input_tokens',
  ],
  cache_write_1h_tokens: ['cache_creation.ephemeral_1h_input_tokens'],
  reasoning_tokens: [
    'completion_tokens_details.reasoning_tokens',
    'output_tokens_details.reasoning_tokens',
    'output_tokens_details.thinking_tokens',
    'reasoning_tokens',
  ],
  input_text_tokens: ['prompt_tokens_details.text_tokens', 'input_tokens_details.text_tokens'],
  input_audio_tokens: ['prompt_tokens_details.audio_tokens', 'input_tokens_details.audio_tokens'],
  input_image_tokens: ['prompt_tokens_details.image_tokens', 'input_tokens_details.image_tokens'],
  output_text_tokens: [
    'completion_tokens_details.text_tokens',
    'output_tokens_details.text_tokens',
  ],
  output_audio_tokens: [
    'completion_tokens_details.audio_tokens',
    'output_tokens_details.audio_tokens',
  ],
  output_image_tokens: [
    'completion_tokens_details.image_tokens',
    'output_tokens_details.image_tokens',
  ],
  accepted_prediction_tokens: ['completion_tokens_details.accepted_prediction_tokens'],
  rejected_prediction_tokens: ['completion_tokens_details.rejected_prediction_tokens'],
  citation_tokens: ['citation_tokens'],
  input_audio_seconds: ['prompt_audio_seconds'],
  web_search_requests: [
    'server_tool_use.web_search_requests',
    'server_side_tool_usage_details.web_search_calls',
    'num_search_queries',
  ],
  web_fetch_requests: ['server_tool_use.web_fetch_requests'],
  sources_used: ['num_sources_used'],
  server_tool_calls: ['num_server_side_tools_used'],
});

function pathsOf(
  paths: Readonly<Record<DetailName, readonly string[]>>,
): readonly (readonly [name: string, paths: readonly (readonly string[])[]])[] {
  return Object.entries(paths).map(([name, some]) => [name, some.map((path) => path.split('.'))]);
}

/** The names that providers give the main counts. */
const countNames = [
  'prompt_tokens',
  'input_tokens',
  'completion_tokens',
  'output_tokens',
  'total_tokens',
] as const;

/**
 * `usage` where all that it counts can be true, without the details that cannot; else null. For
 * usage that comes from a store, where another version, or another program, may have put it.
 */
export function soundUsage(usage: Usage | null): Usage | null {
  if (usage === null) return null;
  const { inputTokens, outputTokens, totalTokens, details } = usage;
  if ([inputTokens, outputTokens, totalTokens].some(isNoCount)) return null;
  const entries = Object.entries(details);
  const sound = entries.filter(([, count]) => !isNoCount(count));
  return sound.length === entries.length ? usage : { ...usage, details: Object.fromEntries(sound) };
}

/** The usage object of an answer, whichever provider's; null where it tells no count. */
export function readUsage(raw: unknown): Usage | null {
  const parts = new UsageParts();
  parts.add(raw);
  return parts.read();
}

/** Usage that a stream tells bit by bit: a later count replaces an earlier one, where there is one. */
export class UsageParts {
  #input: number | null = null;
  #output: number | null = null;
  #total: number | null = null;
  readonly #details: Record<string, number> = {};
  /** One count that cannot be true discredits the others: half of a usage has a wrong price. */
  #isSpoiled = false;

  add(raw: unknown): void {
    if (!isObject(raw)) return;
    this.#isSpoiled ||= countNames.some((name) => isNoCount(raw[name]));
    this.#input = countOf(raw['prompt_tokens']) ?? countOf(raw['input_tokens']) ?? this.#input;
    this.#output =
      countOf(raw['completion_tokens']) ?? countOf(raw['output_tokens']) ?? this.#output;
    this.#total = countOf(raw['total_tokens']) ?? this.#total;
    for (const [name, paths] of detailPaths) {
      const value = firstCount(raw, paths);
      if (value !== null) this.#details[name] = value;
    }
  }

  /** What was told until now; null where no count was. */
  read(): Usage | null {
    if (this.#isSpoiled) return null;
    if (this.#input === null && this.#output === null && this.#total === null) return null;
    const sum = this.#input !== null && this.#output !== null ? this.#input + this.#output : null;
    return {
      inputTokens: this.#input,
      outputTokens: this.#output,
      totalTokens: this.#total ?? sum,
      details: { ...this.#details },
    };
  }
}

function firstCount(raw: JsonObject, paths: readonly (readonly string[])[]): number | null {
  for (const path of paths) {
    const value = countOf(
      path.reduce<unknown>((inner, name) => (isObject(inner) ? inner[name] : null), raw),
    );
    if (value !== null) return value;
  }
  return null;
}
