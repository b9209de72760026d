import type { CachedResponse } from '../../policies/llm-cache/entry.ts';

/** Creates an entry as the cache would, stored at `now` and fresh for an hour. */
export function makeEntry(now: number, parts: Partial<CachedResponse> = {}): CachedResponse {
  return {
    namespace: 'openai',
    protocol: 'chat',
    model: 'gpt-4o-2024-08-06',
    requestedModel: 'gpt-4o',
    consumer: null,
    stream: false,
    responseId: 'chatcmpl-1',
    usage: {
      inputTokens: 11,
      outputTokens: 5,
      totalTokens: 16,
      details: { cached_tokens: 4 },
    },
    fingerprint: { path: 'aaaaaaaa', stream: 'no', '=model': 'bbbbbbbb' },
    headers: { 'content-type': 'application/json' },
    storedAt: now,
    freshUntil: now + 3_600_000,
    expiresAt: now + 3_660_000,
    body: new TextEncoder().encode('{"id":"chatcmpl-1"}'),
    ...parts,
  };
}
