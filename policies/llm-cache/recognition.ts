import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { BodyReason, LlmRequest } from '../shared/exchange.ts';
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

/** The first steps of the story: recv, key. At once where the request's body has been read already. */
export function recognise(
  request: LlmRequest,
  controls: ClientControls,
  recognising: Recognising,
): Recognition | Promise<Recognition> {
  const byHead = asideByControls(controls) ?? asideByHeaders(request);
  if (byHead !== null) return { aside: byHead };
  const body = request.body(recognising.settings.maxRequestBytes);
  if (!(body instanceof Promise)) return byBody(request, body, recognising);
  return body.then((read) => byBody(request, read, recognising));
}

function byBody(
  request: LlmRequest,
  body: RequestBody | BodyReason,
  recognising: Recognising,
): Recognition {
  if (body === 'gone') return 'gone';
  if (typeof body === 'string') return { aside: body };
  const { settings, digest } = recognising;
  const problem = asideByBody(body, request.protocol);
  if (problem !== null) return { aside: problem };

  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const material = keyMaterial(request, body, scope, recognising);
  return { body, material, key: cacheKey(material, digest) };
}
