import { countOf } from './count.ts';
import { isObject, type JsonObject } from './json/json.ts';

/** The names of all details of usage, for every provider; a table in the documents is made from them. */
export const detailNames = {
  cached_tokens: 'input tokens read from the provider’s own prompt cache',
  cache_write_tokens: 'input tokens written to that cache',
  cache_write_1h_tokens: 'cache-write tokens that are kept for an hour',
  reasoning_tokens: 'output tokens spent on reasoning',
  input_text_tokens: 'input tokens that are text',
  input_audio_tokens: 'input tokens that are audio',
  input_image_tokens: 'input tokens that are images',
  tool_use_tokens: 'input tokens that the provider’s tools gave the model',
  output_text_tokens: 'output tokens that are text',
  output_audio_tokens: 'output tokens that are audio',
  output_image_tokens: 'output tokens that are images',
  accepted_prediction_tokens: 'tokens of a predicted output that were used',
  rejected_prediction_tokens: 'tokens of a predicted output that were not used, and are billed',
  citation_tokens: 'tokens of citations',
  input_audio_seconds: 'seconds of audio in the input',
  compaction_input_tokens:
    'input tokens of summaries that the provider made of the conversation (compaction)',
  compaction_cached_tokens: 'cached tokens of these summaries',
  compaction_cache_write_tokens: 'cache-write tokens of these summaries',
  compaction_cache_write_1h_tokens: 'their cache-write tokens that are kept for an hour',
  compaction_output_tokens: 'output tokens of these summaries',
  other_model_tokens:
    'tokens of other models that took part (an advisor, one that declined); not in the counts',
  search_units: 'searches of a reranker (Cohere counts one per query and 100 documents)',
  web_search_requests: 'web searches that the provider made',
  web_fetch_requests: 'pages that the provider fetched',
  file_search_calls: 'searches in files that the provider holds',
  code_execution_calls: 'runs of code in the provider’s sandbox, which it charges by the hour',
  image_generation_calls: 'images that a tool of the provider made, which it charges separately',
  sources_used: 'sources that a live search used',
  server_tool_calls: 'calls of tools that the provider runs itself',
} as const;

export type DetailName = keyof typeof detailNames;

/**
 * The paths of each detail in a usage object; the first one that is present counts.
 * `prompt_…`, `completion_…`: https://platform.openai.com/docs/api-reference/chat/object (Groq, xAI, OpenRouter too)
 * `input_…`, `output_…`: https://platform.openai.com/docs/api-reference/responses/object
 * `cache_…`, `server_tool_use`, `thinking_tokens`: https://docs.anthropic.com/en/api/messages
 * `prompt_cache_hit_tokens`: https://api-docs.deepseek.com/guides/kv_cache
 * a top-level `cached_tokens`: https://platform.moonshot.ai/docs/api/chat
 * `num_sources_used`, `…server_side_tool…`: https://docs.x.ai/docs/api-reference
 * `citation_tokens`, `num_search_queries`: https://docs.perplexity.ai/api-reference/chat-completions-post
 * `prompt_audio_seconds`: https://docs.mistral.ai/api
 * `search_units`: https://docs.cohere.com/reference/rerank
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
  // Written by `geminiUsage`.
  tool_use_tokens: ['prompt_tokens_details.tool_use_tokens'],
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
  search_units: ['search_units'],
  web_search_requests: [
    'server_tool_use.web_search_requests',
    'server_side_tool_usage_details.web_search_calls',
    'num_search_queries',
  ],
  web_fetch_requests: ['server_tool_use.web_fetch_requests'],
  sources_used: ['num_sources_used'],
  server_tool_calls: ['num_server_side_tools_used'],
});

/** Returns the details in a usage object. */
export function readDetails(raw: JsonObject): (readonly [name: string, value: number])[] {
  const details: (readonly [name: string, value: number])[] = [];
  for (const [name, paths] of detailPaths) {
    const value = firstCount(raw, paths);
    if (value !== null) details.push([name, value]);
  }
  return details;
}

function pathsOf(
  paths: Readonly<Partial<Record<DetailName, readonly string[]>>>,
): readonly (readonly [name: string, paths: readonly (readonly string[])[]])[] {
  return Object.entries(paths).map(([name, some]) => [name, some.map((path) => path.split('.'))]);
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
