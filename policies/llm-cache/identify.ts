import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import { type BodyFacts, type Later, type RequestBody, whenKnown } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import { cacheKey, type KeyMaking, type KeyMaterial, keyMaterial } from './key.ts';
import { asideByBody, asideByControls, asideByHeaders } from './request-rules.ts';
import { scopeOf } from './scope.ts';

/** A request's key; the reason if the cache stands aside; or `gone` if the client left. */
export type Identification =
  | { readonly facts: BodyFacts; readonly material: KeyMaterial; readonly key: string }
  | { readonly aside: AsideReason }
  | 'gone';

/** What one pipeline step needs to identify requests. */
export interface IdentifyParts extends KeyMaking {
  readonly settings: LlmCacheSettings;
}

/** Computes a request's key: synchronously if its body has already been read. */
export function identify(
  request: LlmRequest,
  controls: ClientControls,
  parts: IdentifyParts,
): Identification | Promise<Identification> {
  const byHead = asideByControls(controls, parts.settings) ?? asideByHeaders(request);
  if (byHead !== null) return { aside: byHead };
  return whenKnown(request.body(parts.settings.maxRequestBytes), (body) => {
    if (body === 'gone') return 'gone';
    if (typeof body === 'string') return { aside: body };
    return whenKnown(body.facts(request), (facts) =>
      identifyBody({ request, controls }, body, facts, parts),
    );
  });
}

function identifyBody(
  { request, controls }: { readonly request: LlmRequest; readonly controls: ClientControls },
  body: RequestBody,
  facts: BodyFacts,
  parts: IdentifyParts,
): Later<Identification> {
  const { settings, digest } = parts;
  const problem = asideByBody(facts, settings.maxRequestBytes);
  if (problem !== null) return { aside: problem };
  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const asked = { body, isStream: facts.isStream, namespace: controls.namespace };
  const material = keyMaterial(request, asked, scope, parts);
  return whenKnown(cacheKey(material, digest), (key) => ({ facts, material, key }));
}
