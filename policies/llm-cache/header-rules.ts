import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { Recent } from '../shared/recent.ts';
import { addressHeaders, namesIdentity, namesRoute } from './header-names.ts';

/** What a request header is to the cache. */
export interface HeaderRole {
  /** In lower case. */
  readonly name: string;
  /** It tells who asks: `listed` by the operator, or by its `name`. */
  readonly identity: 'listed' | 'name' | null;
  /** It is part of the key; `host` where the upstream gets it. */
  readonly varies: boolean | 'host';
  /** Its value is nothing to be guessed from a key. */
  readonly isSecret: boolean;
}

export type HeaderSettings = Pick<
  LlmCacheSettings,
  'scope' | 'credentialHeaders' | 'varyHeaders' | 'ignoreHeaders'
>;

const maxRemembered = 1000;
const longestRemembered = 100;

/** The roles of request headers in one step of a pipeline, remembered by name. */
export class HeaderRules {
  readonly #isCredential: Matcher;
  readonly #isVarying: Matcher;
  readonly #isIgnored: Matcher;
  readonly #namesCount: boolean;
  readonly #remembered = new Recent<HeaderRole>(maxRemembered);

  constructor({ scope, credentialHeaders, varyHeaders, ignoreHeaders }: HeaderSettings) {
    this.#isCredential = matcher(credentialHeaders);
    this.#isVarying = matcher(varyHeaders);
    this.#isIgnored = matcher(ignoreHeaders);
    // Who asks for credentials, and says which, has said all.
    this.#namesCount = scope !== 'credential' || isDefault(credentialHeaders);
  }

  /** The role of a header of that name, in any case. */
  of(name: string): HeaderRole {
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const role = this.#roleOf(name.toLowerCase());
    if (name.length <= longestRemembered) this.#remembered.set(name, role);
    return role;
  }

  /** Whether a parameter of that name in the query tells who asks, as `key` does. */
  tellsInQuery(name: string): boolean {
    return this.#namesCount && namesIdentity(name.toLowerCase());
  }

  #roleOf(name: string): HeaderRole {
    if (this.#isIgnored(name)) return { name, identity: null, varies: false, isSecret: false };
    const isSecret = namesIdentity(name);
    const isListed = this.#isCredential(name);
    const isVarying = this.#isVarying(name);
    // What the operator has in the key keeps callers apart already.
    const counts = this.#namesCount && isSecret && !isVarying;
    return {
      name,
      identity: isListed ? 'listed' : counts ? 'name' : null,
      varies: isVarying || addressHeaders.has(name) || namesRoute(name) || isHost(name),
      isSecret,
    };
  }
}

/** `:authority` is what HTTP/2 has for it. */
function isHost(name: string): 'host' | false {
  return name === 'host' || name === ':authority' ? 'host' : false;
}

const made = new WeakMap<HeaderSettings, HeaderRules>();

/** The rules of a step's settings, made once; the settings must not change any more. */
export function headerRules(settings: HeaderSettings): HeaderRules {
  let rules = made.get(settings);
  if (rules === undefined) {
    rules = new HeaderRules(settings);
    made.set(settings, rules);
  }
  return rules;
}

type Matcher = (name: string) => boolean;

/** Names in any case; one that ends in `*` stands for all that begin so. */
function matcher(names: readonly string[]): Matcher {
  const lower = names.map((name) => name.toLowerCase());
  const exact = new Set(lower);
  const beginnings = lower.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || beginnings.some((beginning) => name.startsWith(beginning));
}

function isDefault(names: readonly string[]): boolean {
  const all: readonly string[] = llmCacheSchema.properties.credentialHeaders.default;
  return names.length === all.length && all.every((name, at) => names[at] === name);
}

/** By name, as clients send headers in any order; those of one name stay as they are. */
export function inOrder<T extends readonly [name: string, ...rest: unknown[]]>(found: T[]): T[] {
  if (found.length < 2) return found;
  return found.toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)));
}
