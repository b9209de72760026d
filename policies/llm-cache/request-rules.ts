import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import type { CachedResponse } from './entry.ts';
import { problemOfType } from './media-types.ts';

/** Why the cache has nothing to do with this request, by what its client asks of it; null when it has. */
export function asideByControls(
  { bypass, exact, takesPart }: ClientControls,
  { mode }: Pick<LlmCacheSettings, 'mode'>,
): AsideReason | null {
  if (bypass !== null) return bypass;
  if (!exact) return 'layer-off';
  return mode === 'opt-in' && !takesPart ? 'not-asked' : null;
}

const methodOverrides = ['x-http-method-override', 'x-http-method', 'x-method-override'];

/** Why the cache has nothing to do with this request, by what its headers tell of it; null when it has. */
export function asideByHeaders(request: Pick<LlmRequest, 'header'>): AsideReason | null {
  for (const name of methodOverrides) {
    // To an upstream that goes by it this is no POST.
    const method = request.header(name);
    if (method !== undefined && method.toUpperCase() !== 'POST') return 'stateful';
  }
  return problemOfType(request.header('content-type'));
}

/** Why the cache has nothing to do with this request, by its body; null when it has. */
export function asideByBody(facts: BodyFacts, maxRequestBytes: number): AsideReason | null {
  const { problem, length, isStateful } = facts;
  if (length > maxRequestBytes) return 'request-too-large';
  return problem ?? (isStateful ? 'stateful' : null);
}

/** Why nothing stored may serve, whatever it is; null when something may. */
export function freshAlways(controls: ClientControls): AsideReason | null {
  if (controls.refresh) return 'refresh';
  return controls.maxAge === 0 ? 'max-age' : null;
}

/** How far the clocks of gateways that share a store may be apart. */
const maxSkewMs = 60_000;

/** What an entry is worth to this request: `fresh` serves; one that is `too-old` does for others. */
export type Standing = 'absent' | 'expired' | 'too-old' | 'fresh';

export function standingOf(
  entry: Pick<CachedResponse, 'storedAt' | 'freshUntil'> | undefined,
  controls: ClientControls,
  now: number,
): Standing {
  if (entry === undefined) return 'absent';
  if (now >= entry.freshUntil) return 'expired';
  if (isOfTheFuture(entry, now)) return 'expired';
  const { maxAge } = controls;
  return maxAge !== null && now - entry.storedAt > maxAge * 1000 ? 'too-old' : 'fresh';
}

/** Whether a clock was wrong, then or now, so that nothing tells how old the entry is. */
export function isOfTheFuture(
  { storedAt }: Pick<CachedResponse, 'storedAt'>,
  now: number,
): boolean {
  return storedAt > now + maxSkewMs;
}

const clientReasons: ReadonlySet<AsideReason> = new Set<AsideReason>([
  'no-cache',
  'no-store',
  'refresh',
  'max-age',
]);

/** Whether it was the client that wanted a fresh answer, not the cache that stood aside. */
export function isClientsWish(reason: AsideReason): boolean {
  return clientReasons.has(reason);
}
