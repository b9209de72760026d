import { nameOrNull } from '../json/json.ts';
import type { Target, TargetFacts } from './protocol.ts';

/** `…/models/MODEL:method`, and on Vertex AI `…/endpoints/ENDPOINT:method`. */
const model = /([^/:]+):[a-zA-Z]+$/;

/** `$alt` is another name of the same parameter. */
const asEvents = /[?&](?:\$|%24)?alt=sse(?:&|$)/i;

/**
 * What the target of a request to Gemini tells. `:streamGenerateContent` is a stream with `alt=sse`;
 * without it the answer is one JSON array.
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
