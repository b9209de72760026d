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

/**
 * A consumer that the scope can tell from any other. Somebody of whom nothing is known is a
 * `stranger`, who gets no answer of anybody's.
 */
export function identified(consumer: unknown, stranger: string): unknown {
  if (consumer === undefined || consumer === null || consumer === false || consumer === '') {
    return undefined;
  }
  if (typeof consumer === 'string' || typeof consumer === 'number') return { id: consumer };
  if (!isObject(consumer)) return { sub: stranger };
  const { id, sub, client_id: clientId, username } = consumer;
  if ([id, sub, clientId, username].some(isName)) return consumer;
  return { sub: textOf(consumer) ?? stranger };
}

function isName(value: unknown): value is string | number {
  return (typeof value === 'string' && value !== '') || typeof value === 'number';
}

/** All that is in an object; null where that does not show. */
function textOf(value: object): string | null {
  try {
    const text = JSON.stringify(value);
    return text === '{}' ? null : text;
  } catch {
    return null;
  }
}
