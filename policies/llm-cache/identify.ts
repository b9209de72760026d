import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import { type BodyFacts, type Later, type RequestBody, whenKnown } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import { cacheKey, type KeyMaking, type KeyMaterial, keyMaterial } from './key.ts';
import { asideByBody, asideByControls, asideByHeaders } from './request-rules.ts';
import { scopeOf } from './scope.ts';

/** What a request is known by; a reason where the cache stands aside; `gone` when its client left. */
export type Recognition =
  | { readonly facts: BodyFacts; readonly material: KeyMaterial; readonly key: string }
  | { readonly aside: AsideReason }
  | 'gone';

/** What one step of a pipeline recognises requests with. */
export interface Recognising extends KeyMaking {
  readonly settings: LlmCacheSettings;
}

/** The first steps of the story: recv, key. At once where the request's body has been read already. */
export function recognise(
  request: LlmRequest,
  controls: ClientControls,
  recognising: Recognising,
): Recognition | Promise<Recognition> {
  const byHead = asideByControls(controls, recognising.settings) ?? asideByHeaders(request);
  if (byHead !== null) return { aside: byHead };
  return whenKnown(request.body(recognising.settings.maxRequestBytes), (body) => {
    if (body === 'gone') return 'gone';
    if (typeof body === 'string') return { aside: body };
    return whenKnown(body.facts(request), (facts) =>
      byFacts({ request, controls }, body, facts, recognising),
    );
  });
}

function byFacts(
  { request, controls }: { readonly request: LlmRequest; readonly controls: ClientControls },
  body: RequestBody,
  facts: BodyFacts,
  recognising: Recognising,
): Later<Recognition> {
  const { settings, digest } = recognising;
  const problem = asideByBody(facts, settings.maxRequestBytes);
  if (problem !== null) return { aside: problem };
  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const asked = { body, isStream: facts.isStream, namespace: controls.namespace };
  const material = keyMaterial(request, asked, scope, recognising);
  return whenKnown(cacheKey(material, digest), (key) => ({ facts, material, key }));
}
