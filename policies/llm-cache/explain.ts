import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import { type AsideReason, asideReasons } from '../shared/reasons.ts';
import { consumerId } from '../shared/identity/identity.ts';
import { type ClientControls, controlsOf } from './client-controls.ts';
import type { EntryHead } from './entry.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Flights } from './flights.ts';
import type { KeyMaterial } from './key.ts';
import { type Near, nearest } from './nearest.ts';
import { identify } from './identify.ts';
import { readItems } from './items/items.ts';
import { refetchReason, isClientChoice, standingOf } from './request-rules.ts';
import { credentialNames, scopeKind, type ScopeKind } from './scope.ts';
import type { OutcomeName } from './stats.ts';
import type { Store } from './stores/store.ts';

export interface ExplainParts {
  readonly store: Store;
  readonly flights: Flights;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** What the key of a request is computed from: names only, no values. */
export interface ShownMaterial {
  readonly namespace: string;
  readonly scope: {
    readonly kind: ScopeKind;
    /** The consumer's id, or a digest of its identity; null unless `kind` is `consumer`. */
    readonly consumer: string | null;
    /** The names of the credentials in the scope; empty unless `kind` is `credential`. */
    readonly headers: readonly string[];
  };
  readonly protocol: string;
  readonly stream: boolean;
  readonly path: string;
  /** The names of the query parameters. */
  readonly query: readonly string[];
  /** The request's headers that are part of the key. */
  readonly headers: readonly string[];
  /** The body's members that are part of the key. */
  readonly members: readonly string[];
  /** The body's members that are not. */
  readonly ignored: readonly string[];
  /** False if the body has no canonical form, so that its exact bytes are part of the key. */
  readonly canonical: boolean;
}

export interface Explanation {
  /** What would happen now; `pass` if the cache does not handle the request. */
  readonly outcome: OutcomeName | 'pass';
  readonly reason: AsideReason | null;
  /** The deciding rule, in words. */
  readonly rule: string;
  readonly key: string | null;
  readonly material: ShownMaterial | null;
  /** On a miss, the most similar stored requests. */
  readonly nearest: readonly Near[];
}

/** Tells what the cache would do with the request now, and why. Changes nothing and calls no upstream. */
export async function explain(request: LlmRequest, parts: ExplainParts): Promise<Explanation> {
  const controls = controlsOf(request, parts.settings);
  const known = await identify(request, controls, parts);
  if (known === 'gone') return aside('not-json', controls);
  if ('aside' in known) return aside(known.aside, controls);

  const { key, material } = known;
  const decided = await decide(key, controls, parts);
  const isByItem = parts.settings.perItem && decided.outcome === 'miss' && decided.reason === null;
  const verdict = (isByItem ? await byItem(request, material, controls, parts) : null) ?? decided;
  const isMiss = verdict.outcome === 'miss';
  return {
    ...verdict,
    key,
    material: await shownMaterial(request, material, parts),
    nearest: isMiss ? await nearestTo(key, material, parts) : [],
  };
}

async function nearestTo(
  key: string,
  material: KeyMaterial,
  { store, digest, now }: ExplainParts,
): Promise<readonly Near[]> {
  const fingerprint = fingerprintOf(material, await material.counting, digest);
  return nearest({ key, fingerprint }, store, now);
}

type Verdict = Pick<Explanation, 'outcome' | 'reason' | 'rule'>;

function aside(reason: AsideReason, controls: ClientControls): Explanation {
  const isUnavailable = controls.onlyIfCached && controls.bypass === null;
  const verdict = isUnavailable
    ? unavailable()
    : ({ outcome: isClientChoice(reason) ? 'request' : 'bypass', reason } as const);
  return { rule: asideReasons[reason], ...verdict, key: null, material: null, nearest: [] };
}

function unavailable(): Verdict {
  const reason = 'only-if-cached';
  return { outcome: 'miss', reason, rule: asideReasons[reason] };
}

async function decide(
  key: string,
  controls: ClientControls,
  parts: ExplainParts,
): Promise<Verdict> {
  const { flights, settings, now } = parts;
  const reason = refetchReason(controls);
  if (reason !== null) {
    if (controls.onlyIfCached) return unavailable();
    return { outcome: 'request', reason, rule: asideReasons[reason] };
  }
  const mayJoin = settings.coalesce && !controls.onlyIfCached && !flights.isHitForMiss(key);
  if (mayJoin && flights.find(key) !== undefined) {
    return { outcome: 'coalesced', reason: null, rule: 'an identical request is under way' };
  }
  let entry: EntryHead | undefined;
  try {
    // `look` does not count as a use, so explaining a request does not delay the entry's eviction.
    entry = (await parts.store.look(key))?.head;
  } catch {
    return { outcome: 'bypass', reason: 'store-error', rule: asideReasons['store-error'] };
  }
  const standing = standingOf(entry, controls, now);
  const age = Math.floor((now - (entry?.storedAt ?? now)) / 1000);
  if (standing === 'fresh') {
    const rule = `a fresh answer is stored under this key, ${age} s old`;
    return { outcome: 'hit', reason: null, rule };
  }
  if (controls.onlyIfCached) return unavailable();
  if (standing === 'too-old') {
    return { outcome: 'request', reason: 'max-age', rule: asideReasons['max-age'] };
  }
  return { outcome: 'miss', reason: null, rule: missRule(entry, parts) };
}

/** The verdict for a request for several embeddings, by its stored inputs. Null if none is stored. */
async function byItem(
  request: LlmRequest,
  material: KeyMaterial,
  controls: ClientControls,
  { store, settings, now, ...making }: ExplainParts,
): Promise<Verdict | null> {
  const read = { request, material };
  const items = await readItems(read, settings.maxRequestBytes, { ...making, settings });
  if (items === null) return null;
  const inputs = new Set(items.asked);
  let stored = 0;
  for (const { key } of inputs) {
    const head = (await store.look(key))?.head;
    if (standingOf(head, controls, now) === 'fresh') stored++;
  }
  const rule = `${stored} of ${inputs.size} inputs are stored, each under a key of its own`;
  if (stored === 0) return null;
  if (stored === inputs.size) return { outcome: 'hit', reason: null, rule };
  if (controls.onlyIfCached) return unavailable();
  return { outcome: 'miss', reason: 'partial', rule };
}

function missRule(entry: EntryHead | undefined, { now, settings }: ExplainParts): string {
  if (entry === undefined) return 'nothing is stored under this key';
  const since = Math.floor((now - entry.freshUntil) / 1000);
  const stands = since < settings.staleIfError ? '; it answers if the upstream fails' : '';
  return `the answer that is stored under this key expired ${since} s ago${stands}`;
}

const maxShown = 100;

async function shownMaterial(
  request: LlmRequest,
  material: KeyMaterial,
  { settings, digest }: ExplainParts,
): Promise<ShownMaterial> {
  const kind = scopeKind(material.scope);
  const { members, names } = await material.counting;
  const counts = (name: string) => members === null || members.has(name);
  const isCredential = kind === 'credential';
  return {
    namespace: material.namespace,
    scope: {
      kind,
      consumer: kind === 'consumer' ? consumerId(request.identity, digest) : null,
      headers: isCredential ? credentialNames(request, settings) : [],
    },
    protocol: material.protocol,
    stream: material.isStream,
    path: material.path,
    query: [...new Set(new URLSearchParams(material.query).keys())],
    headers: [...new Set(material.vary.map(([name]) => name))],
    members: names.filter(counts).slice(0, maxShown),
    ignored: names.filter((name) => !counts(name)).slice(0, maxShown),
    canonical: members !== null,
  };
}
