import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import { cacheKey, type KeyMaking, type KeyMaterial, keyMaterial } from './key.ts';
import { asideByBody, asideByControls, asideByHeaders } from './request-rules.ts';
import { scopeOf } from './scope.ts';

/** What a request is known by; a reason where the cache stands aside; `gone` when its client left. */
export type Recognition =
  | { readonly body: RequestBody; readonly material: KeyMaterial; readonly key: string }
  | { readonly aside: AsideReason }
  | 'gone';

/** What one step of a pipeline recognises requests with. */
export interface Recognising extends KeyMaking {
  readonly settings: LlmCacheSettings;
}

/** The first steps of the story: recv, key. */
export async function recognise(
  request: LlmRequest,
  controls: ClientControls,
  recognising: Recognising,
): Promise<Recognition> {
  const { settings, digest } = recognising;
  const byHead = asideByControls(controls) ?? asideByHeaders(request);
  if (byHead !== null) return { aside: byHead };

  const body = await request.body(settings.maxRequestBytes);
  if (body === 'gone') return 'gone';
  if (typeof body === 'string') return { aside: body };
  const byBody = asideByBody(body, request.protocol);
  if (byBody !== null) return { aside: byBody };

  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const material = keyMaterial(request, body, scope, recognising);
  return { body, material, key: cacheKey(material, digest) };
}
