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
import { recognise } from './identify.ts';
import { readItems } from './items/items.ts';
import { freshAlways, isClientsWish, standingOf } from './request-rules.ts';
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

/** What the key of a request is made of: names, and nothing of what they say. */
export interface ShownMaterial {
  readonly namespace: string;
  readonly scope: {
    readonly kind: ScopeKind;
    /** The consumer's id, where it is one's own. */
    readonly consumer: string | null;
    /** The credential headers that it goes by. */
    readonly headers: readonly string[];
  };
  readonly protocol: string;
  readonly stream: boolean;
  readonly path: string;
  /** The parameters of the query. */
  readonly query: readonly string[];
  /** The headers that the request has and that change the answer. */
  readonly headers: readonly string[];
  /** The body's members that count. */
  readonly members: readonly string[];
  /** Those that do not. */
  readonly ignored: readonly string[];
  /** False where the body has no canonical form, and counts byte for byte. */
  readonly canonical: boolean;
}

export interface Explanation {
  /** What would happen now; `pass` where the cache has nothing to do with the request. */
  readonly outcome: OutcomeName | 'pass';
  readonly reason: AsideReason | null;
  /** The rule that decides it, in words. */
  readonly rule: string;
  readonly key: string | null;
  readonly material: ShownMaterial | null;
  /** On a miss: the stored requests that are most like it. */
  readonly nearest: readonly Near[];
}

/** What the cache would do with the request now, and why. Changes nothing, asks no upstream. */
export async function explain(request: LlmRequest, parts: ExplainParts): Promise<Explanation> {
  const controls = controlsOf(request, parts.settings);
  const known = await recognise(request, controls, parts);
  if (known === 'gone') return standsAside('not-json', controls);
  if ('aside' in known) return standsAside(known.aside, controls);

  const { key, material } = known;
  const decided = await decide(key, controls, parts);
  const isByItem = parts.settings.perItem && decided.outcome === 'miss' && decided.reason === null;
  const verdict = (isByItem ? await byItem(request, material, controls, parts) : null) ?? decided;
  const isMiss = verdict.outcome === 'miss';
  return {
    ...verdict,
    key,
    material: await shown(request, material, parts),
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

function standsAside(reason: AsideReason, controls: ClientControls): Explanation {
  const isUnavailable = controls.onlyIfCached && controls.bypass === null;
  const verdict = isUnavailable
    ? unavailable()
    : ({ outcome: isClientsWish(reason) ? 'request' : 'bypass', reason } as const);
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
  const wish = freshAlways(controls);
  if (wish !== null) {
    if (controls.onlyIfCached) return unavailable();
    return { outcome: 'request', reason: wish, rule: asideReasons[wish] };
  }
  const mayJoin = settings.coalesce && !controls.onlyIfCached && !flights.isHitForMiss(key);
  if (mayJoin && flights.find(key) !== undefined) {
    return { outcome: 'coalesced', reason: null, rule: 'an identical request is under way' };
  }
  let entry: EntryHead | undefined;
  try {
    // Looked at, not used: it is thrown out no later for being asked about.
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
  return { outcome: 'miss', reason: null, rule: missing(entry, parts) };
}

/** Of a request for several embeddings, by what is stored of its inputs; null where nothing is. */
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

function missing(entry: EntryHead | undefined, { now, settings }: ExplainParts): string {
  if (entry === undefined) return 'nothing is stored under this key';
  const since = Math.floor((now - entry.freshUntil) / 1000);
  const stands = since < settings.staleIfError ? '; it answers if the upstream fails' : '';
  return `the answer that is stored under this key expired ${since} s ago${stands}`;
}

const maxShown = 100;

async function shown(
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
