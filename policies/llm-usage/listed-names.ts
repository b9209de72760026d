import { findProvider, type MatchLogic, type Provider } from '@pydantic/genai-prices';

// The package compares a name with each of its thousand models and lowercases both every time. An
// unlisted name costs a third of a millisecond, and one name may need lookups of sixteen prefixes
// under seven providers. So this file prepares the comparisons once, and the package is asked only
// for names that it lists.

type Matcher = (name: string) => boolean;

const matchers = new Map<string, Matcher>();

/** The operator names the providers, so there are few. */
const maxProviders = 100;

/** Whether the provider may list a model of that name. Returns false only if it certainly does not. */
export function mayList(providerId: string, name: string): boolean {
  const lower = name.toLowerCase().trim();
  // Without a provider, the package finds one by the model.
  const provider = providerId === '' ? findProvider({ modelId: lower }) : providerOf(providerId);
  if (provider === undefined) return false;
  return matcherOf(provider)(lower) || matcherOf(provider)(withDashes(lower));
}

const providers = new Map<string, Provider | undefined>();

function providerOf(id: string): Provider | undefined {
  if (!providers.has(id) && providers.size < maxProviders) {
    providers.set(id, findProvider({ providerId: id }));
  }
  return providers.get(id);
}

function matcherOf(provider: Provider): Matcher {
  let matcher = matchers.get(provider.id);
  if (matcher === undefined) {
    const own = anyOf(provider.models.map(({ match }) => match));
    const others = (provider.fallback_model_providers ?? [])
      .map((id) => findProvider({ providerId: id }))
      .filter((other) => other !== undefined && other.id !== provider.id);
    const fallbacks = others.flatMap((other) => other?.models.map(({ match }) => match) ?? []);
    const fallback = anyOf(fallbacks);
    matcher = (name) => own(name) || fallback(name);
    matchers.set(provider.id, matcher);
  }
  return matcher;
}

/** Puts exact names, which are most of them, into one set for a single lookup. */
function anyOf(all: readonly MatchLogic[]): Matcher {
  const names = new Set<string>();
  const others: Matcher[] = [];
  for (const logic of all) {
    if ('equals' in logic) names.add(logic.equals.toLowerCase());
    else others.push(compile(logic));
  }
  return (name) => names.has(name) || others.some((matches) => matches(name));
}

function compile(logic: MatchLogic): Matcher {
  if ('or' in logic) return anyOf(logic.or);
  if ('and' in logic) {
    const all = logic.and.map(compile);
    return (name) => all.every((matches) => matches(name));
  }
  if ('equals' in logic) return anyOf([logic]);
  if ('starts_with' in logic) {
    const start = logic.starts_with.toLowerCase();
    return (name) => name.startsWith(start);
  }
  if ('ends_with' in logic) {
    const end = logic.ends_with.toLowerCase();
    return (name) => name.endsWith(end);
  }
  if ('contains' in logic) {
    const part = logic.contains.toLowerCase();
    return (name) => name.includes(part);
  }
  if ('regex' in logic) {
    const pattern = new RegExp(logic.regex);
    return (name) => pattern.test(name);
  }
  // A newer version of the package may add a kind of rule: leave the decision to the package.
  return () => true;
}

/** The package also matches a date without dashes as one with dashes. */
function withDashes(name: string): string {
  return name.replace(/-(20\d\d)(\d\d)(\d\d)(?=-|:|$)/g, '-$1-$2-$3');
}
