import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { BodyReason, Digest, LlmRequest } from '../shared/exchange.ts';
import type { AsideReason } from '../shared/reasons.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import { cacheKey, type KeyMaterial, keyMaterial } from './key.ts';
import type { Recent } from '../shared/recent.ts';
import { asideByBody, asideByControls } from './request-rules.ts';
import { scopeOf } from './scope.ts';

/** What a request is known by; a reason where the cache stands aside; `gone` when its client left. */
export type Recognition =
  | { readonly body: RequestBody; readonly material: KeyMaterial; readonly key: string }
  | { readonly aside: AsideReason }
  | 'gone';

/** What requests are recognised with. `remembered` is one for each step of a pipeline. */
export interface Recognising {
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  readonly remembered?: Recent<string>;
}

/** The first steps of the story: recv, key. At once where the request's body has been read already. */
export function recognise(
  request: LlmRequest,
  controls: ClientControls,
  parts: Recognising,
): Recognition | Promise<Recognition> {
  const byControls = asideByControls(controls);
  if (byControls !== null) return { aside: byControls };
  const body = request.body(parts.settings.maxRequestBytes);
  if (!(body instanceof Promise)) return byBody(request, body, parts);
  return body.then((read) => byBody(request, read, parts));
}

function byBody(
  request: LlmRequest,
  body: RequestBody | BodyReason,
  { settings, digest, remembered }: Recognising,
): Recognition {
  if (body === 'gone') return 'gone';
  if (typeof body === 'string') return { aside: body };
  const problem = asideByBody(body, request.protocol);
  if (problem !== null) return { aside: problem };

  const scope = scopeOf(request, settings, digest);
  if (scope === null) return { aside: 'no-scope' };
  const making = { settings, digest, remembered };
  const material = keyMaterial(request, body, scope, making);
  return { body, material, key: cacheKey(material, digest) };
}
