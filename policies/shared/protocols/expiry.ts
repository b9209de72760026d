import { isObject } from '../json/json.ts';

/**
 * Returns when something that lives at the provider expires, by its `expires_at`: seconds since the
 * epoch (OpenAI's voices) or ISO 8601 (Anthropic's containers). In milliseconds since the epoch; null
 * if it has no such time.
 */
export function expiryOf(part: unknown): number | null {
  const at = isObject(part) ? part['expires_at'] : null;
  const ms = typeof at === 'number' ? at * 1000 : typeof at === 'string' ? Date.parse(at) : NaN;
  return Number.isFinite(ms) ? ms : null;
}

/** Returns the earlier of two times; null stands for never. */
export function sooner(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.min(one, other);
}
