import { isObject } from './json.ts';

interface Asking {
  /** Throws where it could not be told who asks. */
  readonly consumer: unknown;
  ownHeader(name: string): readonly string[];
}

/**
 * What the requests of one client have in common, its consumer or its credential; null where nothing
 * is known. It goes nowhere but into the account of what is held for the client at the moment.
 */
export function clientOf(request: Asking): string | null {
  return consumerOf(request) ?? credentialOf(request);
}

function consumerOf(request: Asking): string | null {
  let consumer: unknown;
  try {
    ({ consumer } = request);
  } catch {
    return null;
  }
  if (!isObject(consumer)) return null;
  for (const name of ['id', 'sub', 'client_id', 'username']) {
    const value = consumer[name];
    if (typeof value === 'string' || typeof value === 'number') return `${name} ${value}`;
  }
  return null;
}

function credentialOf(request: Asking): string | null {
  for (const name of ['authorization', 'x-api-key', 'api-key']) {
    const [value] = request.ownHeader(name);
    if (value !== undefined) return `${name} ${value}`;
  }
  return null;
}
