import type { Digest } from './exchange.ts';
import { isObject } from './json.ts';

/**
 * The id of whoever the gateway authenticated: the consumer's own, else (a token that the gateway
 * did not look up) a digest of what identifies its subject. Null where nothing does.
 */
export function consumerId(consumer: unknown, digest: Digest): string | null {
  if (!isObject(consumer)) return null;
  const { id, iss, sub, client_id: clientId, username } = consumer;
  if (isName(id)) return String(id);
  if (isName(sub)) return digest.hmac(JSON.stringify(['sub', isName(iss) ? iss : null, sub]));
  if (isName(clientId)) return digest.hmac(JSON.stringify(['client_id', clientId]));
  if (isName(username)) return digest.hmac(JSON.stringify(['username', username]));
  return null;
}

function isName(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || typeof value === 'number';
}
