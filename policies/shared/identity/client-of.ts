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
 * What the requests of one client have in common, its consumer or its credential; null where nothing
 * is known. It goes nowhere but into the account of what is held for the client at the moment.
 */
export function clientOf(request: Asking): string | null {
  return consumerOf(request) ?? credentialOf(request);
}

function consumerOf(request: Asking): string | null {
  try {
    const { identity } = request;
    return isKnown(identity) ? identity.text : null;
  } catch {
    return null;
  }
}

const credentials = /^(?:authorization|x-api-key|api-key|x-goog-api-key)$/i;

function credentialOf({ ownHeaders, query }: Asking): string | null {
  for (let at = 0; at + 1 < ownHeaders.length; at += 2) {
    const name = ownHeaders[at] ?? '';
    if (credentials.test(name)) return `${name.toLowerCase()} ${ownHeaders[at + 1]}`;
  }
  // Gemini's, where it is no header.
  const key = query === '' ? null : new URLSearchParams(query).get('key');
  return key ? `?key ${key}` : null;
}
