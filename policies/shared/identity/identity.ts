import { spell } from './spelling.ts';
import { tenantClaims } from './tenant.ts';

/**
 * Who asks, as the host has authenticated it: `none` without a consumer, `unreadable` for one that
 * cannot be told from another for certain, and that shares with no one.
 */
export type Identity = 'none' | 'unreadable' | KnownIdentity | NamelessIdentity;

export interface KnownIdentity {
  /** All that tells this consumer from others. Not to be shown. */
  readonly text: string;
  /** The consumer's own id, where that alone is what tells it from others. */
  readonly id: string | null;
}

/** A token without a subject: its bearer is known by the credential, and by all that the token says. */
export interface NamelessIdentity {
  readonly claims: string;
}

export function isKnown(identity: Identity): identity is KnownIdentity {
  return typeof identity === 'object' && 'text' in identity;
}

/** What the books call a consumer: its id, or a digest of all that identifies it; null without one. */
export function consumerId(
  identity: Identity,
  digest: { hmac(text: string): string },
): string | null {
  if (!isKnown(identity)) return null;
  return identity.id ?? digest.hmac(identity.text);
}

/**
 * Of what the gateway's authentication policies leave: a consumer, or the payload of a token. One
 * without an `id` and a `sub` is known by what else its payload tells, if a client or a user is named.
 */
export function gatewayIdentity(consumer: unknown): Identity {
  return identify(consumer, byClaims);
}

/** Of what an application calls its consumer: an id, or an object, which without an `id` and a `sub` counts whole. */
export function applicationIdentity(consumer: unknown): Identity {
  return identify(consumer, byAll);
}

type Reading = (consumer: object) => Identity;

const longestId = 256;

function identify(consumer: unknown, otherwise: Reading): Identity {
  if (consumer === undefined || consumer === null || consumer === false || consumer === '') {
    return 'none';
  }
  try {
    if (typeof consumer !== 'object') return bySubject([['id', consumer]]);
    if (Array.isArray(consumer)) return 'unreadable';
    const { id, sub } = consumer as { readonly id?: unknown; readonly sub?: unknown };
    const subject = (
      [
        ['id', id],
        ['sub', sub],
      ] as const
    ).filter(([, value]) => isThere(value));
    if (subject.length === 0) return otherwise(consumer);
    return bySubject([...subject, ...tenantClaims(consumer)]);
  } catch {
    return 'unreadable';
  }
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** An id of this kind is one; what is there and is none does not give way to a weaker claim. */
function bySubject(claims: readonly (readonly [string, unknown])[]): Identity {
  const lines: string[] = [];
  for (const [name, value] of claims) {
    const text = spell(value);
    if (text === null) return 'unreadable';
    if ((name === 'id' || name === 'sub') && namesNobody.has(text)) return 'unreadable';
    lines.push(`${JSON.stringify(name)}=${text}`);
  }
  const [[first, id] = []] = claims;
  const isAlone = claims.length === 1 && first === 'id';
  return { text: `subject\n${lines.toSorted().join('\n')}`, id: isAlone ? plainId(id) : null };
}

const namesNobody: ReadonlySet<string> = new Set(['""', 'true', 'false', '{}', '[]']);

function plainId(id: unknown): string | null {
  if (typeof id === 'number' || typeof id === 'bigint') return String(id);
  return typeof id === 'string' && id.length <= longestId ? id : null;
}

/** Claims of the token itself, and of what it is good for: they change, and identify no subject. */
const passing: ReadonlySet<string> = new Set(
  (
    'active aud exp iat nbf jti auth_time expires_in expires_at token_type scope scp nonce acr amr ' +
    'at_hash c_hash'
  ).split(' '),
);

function byClaims(payload: object): Identity {
  const { client_id: clientId, username } = payload as Record<string, unknown>;
  const named = [clientId, username].filter(isThere);
  if (named.length === 0) return byNothing(payload);
  if (named.every((name) => name === '')) return 'unreadable';
  const lasting = Object.entries(payload).filter(([name]) => !passing.has(name));
  const text = spell(Object.fromEntries(lasting));
  return text === null ? 'unreadable' : { text: `claims\n${text}`, id: null };
}

function byNothing(payload: object): Identity {
  const claims = spell(payload);
  if (claims === null) return 'unreadable';
  return claims === '{}' ? 'none' : { claims };
}

function byAll(consumer: object): Identity {
  const text = spell(consumer);
  if (text === null || namesNobody.has(text)) return 'unreadable';
  return { text: `all\n${text}`, id: null };
}
