import type { Digest } from '../shared/exchange.ts';
import { Recent } from '../shared/recent.ts';
import type { Counting, KeyMaterial } from './key.ts';

/**
 * A short keyed digest of each part of a request: it shows which parts of two requests differ, and
 * reveals no values. Body members are named `=NAME`; other parts have names without `=`.
 */
export type Fingerprint = Readonly<Record<string, string>>;

const maxMembers = 64;
const maxNameLength = 64;
/** 48 bits: short to store, and enough to tell parts apart. */
const digestLength = 8;

/** Computes the fingerprint of a request. */
export function fingerprintOf(
  material: KeyMaterial,
  counting: Counting,
  digest: Digest,
): Fingerprint {
  const parts = partDigestsOf(digest);
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

const partDigests = new WeakMap<Digest, PartDigests>();

function partDigestsOf(digest: Digest): PartDigests {
  let known = partDigests.get(digest);
  if (known === undefined) partDigests.set(digest, (known = new PartDigests(digest)));
  return known;
}

const maxRemembered = 1000;

/** Computes part digests with one secret, and caches common ones. */
class PartDigests {
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

  /**
   * Hashes the part behind a secret: as truncation rules out length extension, this is as good as an
   * HMAC and takes a third of the time.
   */
  #make(name: string, text: string): string {
    return this.#digest.sha256(`${this.#secret}\n${name}\n${text}`).slice(0, digestLength);
  }
}

/** Whether many requests share the part and it reveals no prompt: a path, a model, a number. */
function isCommon(name: string, text: string): boolean {
  return text.length <= maxNameLength && (name === 'path' || name === 'model' || plain.test(text));
}

const plain = /^(?:-?\d[\d.eE+-]*|true|false|null)$/;

/** Returns the names of a request's parts. */
export function partNames(fingerprint: Fingerprint): readonly string[] {
  return Object.keys(fingerprint).map(shownName);
}

/** Returns the names of the parts in which two requests differ. */
export function differences(one: Fingerprint, other: Fingerprint): readonly string[] {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => one[name] !== other[name]).map(shownName);
}

function shownName(name: string): string {
  if (!name.startsWith('=')) return name;
  return name === '=' ? 'body' : name.slice(1);
}
