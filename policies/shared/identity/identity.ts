import { canonicalText } from './canonical-text.ts';
import { tenantClaims } from './tenant.ts';

/**
 * The client as the host authenticated it: `none` without a consumer, `unreadable` for a consumer
 * that cannot be told apart from others with certainty, and so shares no answers.
 */
export type Identity = 'none' | 'unreadable' | KnownIdentity | NamelessIdentity;

export interface KnownIdentity {
  /** All that tells this consumer apart from others. Never to be shown. */
  readonly text: string;
  /** The consumer's own id, if the id alone tells it apart from others. */
  readonly id: string | null;
}

/** A token without a subject: the credential and all claims together identify its bearer. */
export interface NamelessIdentity {
  readonly claims: string;
}

export function isKnown(identity: Identity): identity is KnownIdentity {
  return typeof identity === 'object' && 'text' in identity;
}

/** Returns the consumer's id for usage records: its own, or a digest of its identity; null without one. */
export function consumerId(
  identity: Identity,
  digest: { hmac(text: string): string },
): string | null {
  if (!isKnown(identity)) return null;
  return identity.id ?? digest.hmac(identity.text);
}

/**
 * Returns the identity of what the gateway's authentication policies leave: a consumer, or the
 * payload of a token. Without an `id` and a `sub`, its lasting claims identify it if they name a
 * client or a user.
 */
export function gatewayIdentity(consumer: unknown): Identity {
  return identify(consumer, byClaims);
}

/**
 * Returns the identity of an application's consumer: an id, or an object. Without an `id` and a
 * `sub`, all members of the object identify it.
 */
export function applicationIdentity(consumer: unknown): Identity {
  return identify(consumer, byAllMembers);
}

type Fallback = (consumer: object) => Identity;

const maxIdLength = 256;

function identify(consumer: unknown, fallback: Fallback): Identity {
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
    ).filter(([, value]) => isPresent(value));
    if (subject.length === 0) return fallback(consumer);
    return bySubject([...subject, ...tenantClaims(consumer)]);
  } catch {
    return 'unreadable';
  }
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A claim that is present but invalid makes the consumer unreadable: no weaker claim replaces it. */
function bySubject(claims: readonly (readonly [string, unknown])[]): Identity {
  const lines: string[] = [];
  for (const [name, value] of claims) {
    const text = canonicalText(value);
    if (text === null) return 'unreadable';
    if ((name === 'id' || name === 'sub') && emptyIds.has(text)) return 'unreadable';
    lines.push(`${JSON.stringify(name)}=${text}`);
  }
  const [[first, id] = []] = claims;
  const isAlone = claims.length === 1 && first === 'id';
  return { text: `subject\n${lines.toSorted().join('\n')}`, id: isAlone ? plainId(id) : null };
}

const emptyIds: ReadonlySet<string> = new Set(['""', 'true', 'false', '{}', '[]']);

function plainId(id: unknown): string | null {
  if (typeof id === 'number' || typeof id === 'bigint') return String(id);
  return typeof id === 'string' && id.length <= maxIdLength ? id : null;
}

/** Claims about the token itself and its grants: they change, and identify no subject. */
const transientClaims: ReadonlySet<string> = new Set(
  (
    'active aud exp iat nbf jti auth_time expires_in expires_at token_type scope scp nonce acr amr ' +
    'at_hash c_hash'
  ).split(' '),
);

function byClaims(payload: object): Identity {
  const { client_id: clientId, username } = payload as Record<string, unknown>;
  const named = [clientId, username].filter(isPresent);
  if (named.length === 0) return byAllClaims(payload);
  if (named.every((name) => name === '')) return 'unreadable';
  const lasting = Object.entries(payload).filter(([name]) => !transientClaims.has(name));
  const text = canonicalText(Object.fromEntries(lasting));
  return text === null ? 'unreadable' : { text: `claims\n${text}`, id: null };
}

function byAllClaims(payload: object): Identity {
  const claims = canonicalText(payload);
  if (claims === null) return 'unreadable';
  return claims === '{}' ? 'none' : { claims };
}

function byAllMembers(consumer: object): Identity {
  const text = canonicalText(consumer);
  if (text === null || emptyIds.has(text)) return 'unreadable';
  return { text: `all\n${text}`, id: null };
}
