import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import { cacheKey, type KeyMaterial, keyMaterial } from './key.ts';
import type { Recent } from '../shared/recent.ts';
import { asideByBody, asideByControls } from './request-rules.ts';
import { scopeOf } from './scope.ts';

/** What a request is known by; a reason where the cache stands aside; `gone` when its client left. */
export type Recognition =
  | { readonly facts: BodyFacts; readonly material: KeyMaterial; readonly key: string }
  | { readonly aside: AsideReason }
  | 'gone';

/** The first steps of the story: recv, key. `remembered` is one for each step of a pipeline. */
export async function recognise(
  request: LlmRequest,
  controls: ClientControls,
  settings: LlmCacheSettings,
  digest: Digest,
  remembered?: Recent<string>,
): Promise<Recognition> {
  const byControls = asideByControls(controls);
  if (byControls !== null) return { aside: byControls };

  const body = await request.body(settings.maxRequestBytes);
  if (body === 'gone') return 'gone';
  if (typeof body === 'string') return { aside: body };
  const facts = await body.facts(request.protocol);
  const byBody = asideByBody(facts, settings.maxRequestBytes);
  if (byBody !== null) return { aside: byBody };

  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const making = { settings, digest, remembered };
  const material = keyMaterial(request, { body, ...facts }, scope, making);
  return { facts, material, key: await cacheKey(material, digest) };
}
