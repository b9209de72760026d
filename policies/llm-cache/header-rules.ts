import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { Recent } from '../shared/recent.ts';
import { addressHeaders, namesIdentity, namesRoute } from './header-names.ts';

/** How the cache treats a request header. */
export interface HeaderRole {
  /** In lower case. */
  readonly name: string;
  /** Why it counts as an identity: the operator has `listed` it, or its `name` says so. */
  readonly identity: 'listed' | 'name' | null;
  /** Whether it is part of the key; `host` if it is only when the upstream gets the client's host. */
  readonly varies: boolean | 'host';
  /** Whether its value must not be guessable from a key. */
  readonly isSecret: boolean;
}

export type HeaderSettings = Pick<
  LlmCacheSettings,
  'scope' | 'credentialHeaders' | 'varyHeaders' | 'ignoreHeaders'
>;

const maxRemembered = 1000;
const longestRemembered = 100;

/** The roles of request headers in one pipeline step, cached by name. */
export class HeaderRules {
  readonly #isCredential: Matcher;
  readonly #isVarying: Matcher;
  readonly #isIgnored: Matcher;
  readonly #usesNames: boolean;
  readonly #remembered = new Recent<HeaderRole>(maxRemembered);

  constructor({ scope, credentialHeaders, varyHeaders, ignoreHeaders }: HeaderSettings) {
    this.#isCredential = matcher(credentialHeaders);
    this.#isVarying = matcher(varyHeaders);
    this.#isIgnored = matcher(ignoreHeaders);
    // An operator who sets `scope: credential` and lists the headers wants exactly those.
    this.#usesNames = scope !== 'credential' || isDefault(credentialHeaders);
  }

  /** Returns the role of a header; its name may be in any case. */
  of(name: string): HeaderRole {
    const known = this.#remembered.get(name);
    if (known !== undefined) return known;
    const role = this.#roleOf(name.toLowerCase());
    if (name.length <= longestRemembered) this.#remembered.set(name, role);
    return role;
  }

  /** Returns whether a query parameter of that name carries an identity, as `key` does. */
  isIdentityParameter(name: string): boolean {
    return this.#usesNames && namesIdentity(name.toLowerCase());
  }

  #roleOf(name: string): HeaderRole {
    if (this.#isIgnored(name)) return { name, identity: null, varies: false, isSecret: false };
    const isSecret = namesIdentity(name);
    const isListed = this.#isCredential(name);
    const isVarying = this.#isVarying(name);
    // A header in `varyHeaders` already separates callers by the key.
    const counts = this.#usesNames && isSecret && !isVarying;
    return {
      name,
      identity: isListed ? 'listed' : counts ? 'name' : null,
      varies: isVarying || addressHeaders.has(name) || namesRoute(name) || isHost(name),
      isSecret,
    };
  }
}

/** HTTP/2 sends `:authority` in place of `host`. */
function isHost(name: string): 'host' | false {
  return name === 'host' || name === ':authority' ? 'host' : false;
}

const rulesBySettings = new WeakMap<HeaderSettings, HeaderRules>();

/** Returns the rules of a step, built once per settings object, which must not change afterwards. */
export function headerRules(settings: HeaderSettings): HeaderRules {
  let rules = rulesBySettings.get(settings);
  if (rules === undefined) {
    rules = new HeaderRules(settings);
    rulesBySettings.set(settings, rules);
  }
  return rules;
}

type Matcher = (name: string) => boolean;

/** Matches names in any case; a name that ends in `*` matches by prefix. */
function matcher(names: readonly string[]): Matcher {
  const lower = names.map((name) => name.toLowerCase());
  const exact = new Set(lower);
  const prefixes = lower.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  return (name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

function isDefault(names: readonly string[]): boolean {
  const all: readonly string[] = llmCacheSchema.properties.credentialHeaders.default;
  return names.length === all.length && all.every((name, at) => names[at] === name);
}

/** Sorts headers by name, as their order is the client's choice. Headers of one name keep their order. */
export function sortedByName<T extends readonly [name: string, ...rest: unknown[]]>(
  found: T[],
): T[] {
  if (found.length < 2) return found;
  return found.toSorted(([one], [other]) => (one < other ? -1 : Number(one > other)));
}
