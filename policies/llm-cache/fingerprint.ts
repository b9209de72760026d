import type { Digest } from '../shared/exchange.ts';
import { Recent } from '../shared/recent.ts';
import type { Counting, KeyMaterial } from './key.ts';

/**
 * What tells two requests apart, part by part, and nothing of what they say: a short keyed digest
 * for each. Members of the body stand under `=NAME`, the rest under names of its own.
 */
export type Fingerprint = Readonly<Record<string, string>>;

const maxMembers = 64;
const maxNameLength = 64;
/** 48 bits: enough to tell parts apart, and little to keep. */
const digestLength = 8;

export function fingerprintOf(
  material: KeyMaterial,
  counting: Counting,
  digest: Digest,
): Fingerprint {
  const parts = partsOf(digest);
  const short = (name: string, text: string) => parts.digest(name, text);
  const fingerprint: Record<string, string> = {
    path: short('path', `${material.protocol} ${material.path}`),
    stream: material.isStream ? 'yes' : 'no',
  };
  if (material.query !== '') fingerprint['query'] = short('query', material.query);
  if (material.forwardedUrl !== `${material.path}${material.query}`) {
    fingerprint['url'] = short('url', material.forwardedUrl);
  }
  for (const [name, value] of material.vary) fingerprint[`header ${name}`] = short(name, value);
  const members = [...(counting.members ?? [['', counting.digest] as const])].toSorted(
    ([one], [other]) => (one < other ? -1 : 1),
  );
  for (const [name, value] of members.slice(0, maxMembers)) {
    const shown = name.length > maxNameLength ? `${name.slice(0, maxNameLength)}…` : name;
    fingerprint[`=${shown}`] = short(name, value);
  }
  const rest = members.slice(maxMembers);
  if (rest.length > 0) fingerprint['=…'] = short('…', JSON.stringify(rest));
  return fingerprint;
}

const parts = new WeakMap<Digest, Parts>();

function partsOf(digest: Digest): Parts {
  let known = parts.get(digest);
  if (known === undefined) parts.set(digest, (known = new Parts(digest)));
  return known;
}

const maxRemembered = 1000;

/** Digests of parts, by one secret. */
class Parts {
  readonly #digest: Digest;
  readonly #secret: string;
  readonly #remembered = new Recent<string>(maxRemembered);

  constructor(digest: Digest) {
    this.#digest = digest;
    this.#secret = digest.hmac('llm-cache fingerprint');
  }

  digest(name: string, text: string): string {
    if (!isCommon(name, text)) return this.#make(name, text);
    const key = `${name}\n${text}`;
    let known = this.#remembered.get(key);
    if (known === undefined) this.#remembered.set(key, (known = this.#make(name, text)));
    return known;
  }

  /** A digest behind a secret, cut short, is as good as an HMAC, for a third of its time. */
  #make(name: string, text: string): string {
    return this.#digest.sha256(`${this.#secret}\n${name}\n${text}`).slice(0, digestLength);
  }
}

/** Whether many requests have the part in common, and it says nothing of what one asks: a path, a model, a number. */
function isCommon(name: string, text: string): boolean {
  return text.length <= maxNameLength && (name === 'path' || name === 'model' || plain.test(text));
}

const plain = /^(?:-?\d[\d.eE+-]*|true|false|null)$/;

/** The names of the parts that a request is made of. */
export function partNames(fingerprint: Fingerprint): readonly string[] {
  return Object.keys(fingerprint).map(shownName);
}

/** The names of the parts in which two requests differ. */
export function differences(one: Fingerprint, other: Fingerprint): readonly string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => one[name] !== other[name]).map(shownName);
}

function shownName(name: string): string {
  if (!name.startsWith('=')) return name;
  return name === '=' ? 'body' : name.slice(1);
}
