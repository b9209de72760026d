import { type Identity, isKnown } from './identity.ts';

interface ClientRequest {
  /** Throws if the host cannot tell the identity. */
  readonly identity: Identity;
  /** The header lines as the client sent them: a name in any case, then its value, and so on. */
  readonly ownHeaders: readonly string[];
  /** The query that the client sent, with its question mark; empty without one. */
  readonly query: string;
}

/**
 * Returns what the requests of one client have in common: its consumer, else all of its credentials,
 * so that a client cannot hide by adding an invented one; empty if nothing is known. The result is
 * only used to account for the bytes that are currently held for the client.
 */
export function clientsOf(request: ClientRequest): readonly string[] {
  const consumer = consumerOf(request);
  return consumer === null ? credentialsOf(request) : [consumer];
}

function consumerOf(request: ClientRequest): string | null {
  try {
    const { identity } = request;
    return isKnown(identity) ? identity.text : null;
  } catch {
    return null;
  }
}

const credentials =
  /^(?:(?:proxy-)?authorization|x-api-key|api-key|x-goog-api-key|ocp-apim-subscription-key|cookie)$/i;

function credentialsOf({ ownHeaders, query }: ClientRequest): readonly string[] {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < ownHeaders.length; at += 2) {
    const name = ownHeaders[at] ?? '';
    if (!credentials.test(name)) continue;
    // An upstream takes the first of two lines with one name, or both.
    const lowerCase = name.toLowerCase();
    if (!found.has(lowerCase)) found.set(lowerCase, `${lowerCase} ${ownHeaders[at + 1]}`);
  }
  // Gemini accepts its key in the query, too.
  const key = query === '' ? null : new URLSearchParams(query).get('key');
  if (key) found.set('?key', `?key ${key}`);
  return [...found.values()];
}
