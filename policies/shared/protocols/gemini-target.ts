import { nameOrNull } from '../json/json.ts';
import type { Target, TargetFacts } from './protocol.ts';

/** Matches `…/models/MODEL:method`, and on Vertex AI `…/endpoints/ENDPOINT:method`. */
const model = /([^/:]+):[a-zA-Z]+$/;

/** `$alt` is an alias of the same parameter. */
const asEvents = /[?&](?:\$|%24)?alt=sse(?:&|$)/i;

/**
 * Reads the model and the stream mode from the target of a request to Gemini. The answer to
 * `:streamGenerateContent` is an event stream with `alt=sse`, and one JSON array without it.
 */
export function readGeminiTarget({ path, query }: Target): TargetFacts {
  const isStream = path.endsWith(':streamGenerateContent') && asEvents.test(query);
  return { model: nameOrNull(decoded(model.exec(path)?.[1] ?? '')), isStream };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
