import { isObject } from '../json/json.ts';

/**
 * When a part of an answer that lives at the provider is gone there, by its `expires_at`: seconds
 * since the epoch (OpenAI's voices) or ISO 8601 (Anthropic's containers). In milliseconds since the
 * epoch; null where it does not say.
 */
export function expiryOf(part: unknown): number | null {
  const at = isObject(part) ? part['expires_at'] : null;
  const ms = typeof at === 'number' ? at * 1000 : typeof at === 'string' ? Date.parse(at) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

/** The sooner of two. */
export function sooner(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}
