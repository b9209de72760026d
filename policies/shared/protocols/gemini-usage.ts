import { countOf, isNoCount } from '../count.ts';
import { isObject, type JsonObject } from '../json/json.ts';

/**
 * Translates Gemini's `usageMetadata` to the names that `UsageParts` reads. Tool results count as
 * input and thoughts count as output, which is how they are priced.
 * https://ai.google.dev/api/generate-content#UsageMetadata
 */
export function geminiUsage(metadata: unknown): JsonObject | null {
  if (!isObject(metadata)) return null;
  const {
    promptTokenCount: prompt,
    toolUsePromptTokenCount: tools,
    candidatesTokenCount: candidates,
    thoughtsTokenCount: thoughts,
    cachedContentTokenCount: cached,
    totalTokenCount: total,
  } = metadata;
  // The embeddings API calls them `promptTokenDetails`.
  const input = byModality(metadata['promptTokensDetails'] ?? metadata['promptTokenDetails']);
  const cache = byModality(metadata['cacheTokensDetails']);
  const output = byModality(metadata['candidatesTokensDetails']);
  return {
    prompt_tokens: sum(prompt, tools),
    completion_tokens: sum(candidates, thoughts),
    total_tokens: total,
    prompt_tokens_details: {
      cached_tokens: cached,
      text_tokens: input.get('TEXT'),
      // Cached audio and images are billed as cached tokens, so they are subtracted here.
      audio_tokens: minus(input.get('AUDIO'), cache.get('AUDIO')),
      image_tokens: minus(input.get('IMAGE'), cache.get('IMAGE')),
      tool_use_tokens: tools,
    },
    completion_tokens_details: {
      reasoning_tokens: thoughts,
      text_tokens: output.get('TEXT'),
      audio_tokens: output.get('AUDIO'),
      image_tokens: output.get('IMAGE'),
    },
    service_tier: metadata['serviceTier'] ?? tierOf(metadata['trafficType']),
  };
}

/** Adds two counts; null if neither is present. NaN if one is invalid, which discards the usage. */
function sum(one: unknown, other: unknown): number | null {
  if (isNoCount(one) || isNoCount(other)) return Number.NaN;
  const counts = [countOf(one), countOf(other)].filter((count) => count !== null);
  return counts.length === 0 ? null : counts.reduce((all, count) => all + count);
}

function minus(all: number | undefined, part: number | undefined): number | undefined {
  return all === undefined ? undefined : Math.max(0, all - (part ?? 0));
}

/** Reads `[{modality: "TEXT", tokenCount: 9}, …]`. */
function byModality(details: unknown): Map<string, number> {
  const found = new Map<string, number>();
  if (!Array.isArray(details)) return found;
  for (const one of details as readonly unknown[]) {
    if (!isObject(one)) continue;
    const { modality, tokenCount } = one;
    if (typeof modality === 'string' && typeof tokenCount === 'number') {
      found.set(modality, tokenCount);
    }
  }
  return found;
}

/** Translates Vertex AI's traffic type: `ON_DEMAND_FLEX` is the Gemini API's `flex`. */
function tierOf(trafficType: unknown): string | undefined {
  if (typeof trafficType !== 'string' || trafficType === 'TRAFFIC_TYPE_UNSPECIFIED') {
    return undefined;
  }
  return trafficType.toLowerCase().replace(/^on_demand_/, '');
}
