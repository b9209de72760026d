import { type Identity, isKnown } from './identity.ts';

interface Asking {
  /** Throws where it could not be told who asks. */
  readonly identity: Identity;
  /** Every header line as the client itself sent it: a name in any case, its value, and so on. */
  readonly ownHeaders: readonly string[];
  /** The query that the client sent, with its question mark; empty without one. */
  readonly query: string;
}

/**
 * What the requests of one client have in common: its consumer, else each of its credentials, so that
 * one made up beside the real one hides nothing; empty where nothing is known. It goes nowhere but
 * into the account of what is held for the client at the moment.
 */
export function clientsOf(request: Asking): readonly string[] {
  const consumer = consumerOf(request);
  return consumer === null ? credentialsOf(request) : [consumer];
}

function consumerOf(request: Asking): string | null {
  try {
    const { identity } = request;
    return isKnown(identity) ? identity.text : null;
  } catch {
    return null;
  }
}

const credentials =
  /^(?:(?:proxy-)?authorization|x-api-key|api-key|x-goog-api-key|ocp-apim-subscription-key|cookie)$/i;

function credentialsOf({ ownHeaders, query }: Asking): readonly string[] {
  const found = new Map<string, string>();
  for (let at = 0; at + 1 < ownHeaders.length; at += 2) {
    const name = ownHeaders[at] ?? '';
    if (!credentials.test(name)) continue;
    // Of two lines of one name an upstream takes the first, or both.
    const known = name.toLowerCase();
    if (!found.has(known)) found.set(known, `${known} ${ownHeaders[at + 1]}`);
  }
  // Gemini's, where it is no header.
  const key = query === '' ? null : new URLSearchParams(query).get('key');
  if (key) found.set('?key', `?key ${key}`);
  return [...found.values()];
}
