import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import type { CachedResponse } from './entry.ts';
import { problemOfType } from './media-types.ts';

/** Returns why the cache stands aside because of the client's controls; null if it does not. */
export function asideByControls(
  { bypass, exact, optsIn }: ClientControls,
  { mode }: Pick<LlmCacheSettings, 'mode'>,
): AsideReason | null {
  if (bypass !== null) return bypass;
  if (!exact) return 'layer-off';
  return mode === 'opt-in' && !optsIn ? 'not-asked' : null;
}

const methodOverrides = ['x-http-method-override', 'x-http-method', 'x-method-override'];

/** Returns why the cache stands aside because of the request's headers; null if it does not. */
export function asideByHeaders(request: Pick<LlmRequest, 'header'>): AsideReason | null {
  for (const name of methodOverrides) {
    // An upstream that honours the override does not treat the request as a POST.
    const method = request.header(name);
    if (method !== undefined && method.toUpperCase() !== 'POST') return 'stateful';
  }
  return problemOfType(request.header('content-type'));
}

/** Returns why the cache stands aside because of the request's body; null if it does not. */
export function asideByBody(facts: BodyFacts, maxRequestBytes: number): AsideReason | null {
  const { problem, length, isStateful } = facts;
  if (length > maxRequestBytes) return 'request-too-large';
  return problem ?? (isStateful ? 'stateful' : null);
}

/** Returns the control that rules out every stored response; null if none does. */
export function refetchReason(controls: ClientControls): AsideReason | null {
  if (controls.refresh) return 'refresh';
  return controls.maxAge === 0 ? 'max-age' : null;
}

/** The greatest clock skew between gateways that share a store. */
const maxSkewMs = 60_000;

/** Whether an entry may answer a request. A `too-old` entry is older than this client's `max-age`. */
export type Standing = 'absent' | 'expired' | 'too-old' | 'fresh';

export function standingOf(
  entry: Pick<CachedResponse, 'storedAt' | 'freshUntil'> | undefined,
  controls: ClientControls,
  now: number,
): Standing {
  if (entry === undefined) return 'absent';
  if (now >= entry.freshUntil) return 'expired';
  if (isFromFuture(entry, now)) return 'expired';
  const { maxAge } = controls;
  return maxAge !== null && now - entry.storedAt > maxAge * 1000 ? 'too-old' : 'fresh';
}

/** Returns whether the entry was stored in the future: a clock was wrong, so its age is unknown. */
export function isFromFuture({ storedAt }: Pick<CachedResponse, 'storedAt'>, now: number): boolean {
  return storedAt > now + maxSkewMs;
}

const clientReasons: ReadonlySet<AsideReason> = new Set<AsideReason>([
  'no-cache',
  'no-store',
  'refresh',
  'max-age',
]);

/** Returns whether the client asked for a new answer, rather than the cache standing aside. */
export function isClientChoice(reason: AsideReason): boolean {
  return clientReasons.has(reason);
}
