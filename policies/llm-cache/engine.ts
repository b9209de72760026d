import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { AnswerReader } from '../shared/answer-reader.ts';
import type { ByteAccount } from '../shared/bytes/budget.ts';
import type { Digest, LlmRequest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { consumerId } from '../shared/identity/identity.ts';
import type { AsideReason } from '../shared/reasons.ts';
import { Recent } from '../shared/recent.ts';
import type { SharedBodies } from '../shared/bytes/shared-bodies.ts';
import { type Admitted, Admission } from './admission.ts';
import { type ClientControls, controlsOf } from './client-controls.ts';
import { type Decision, type Forward, outcomeOf } from './decision.ts';
import type { CachedResponse } from './entry.ts';
import { fingerprintOf } from './fingerprint.ts';
import { Flight, mayBeBehind } from './flight.ts';
import type { Flights } from './flights.ts';
import type { Lookup } from './lookup.ts';
import type { KnownDigest } from './key.ts';
import { ItemCache } from './items/item-cache.ts';
import type { PartialCall } from './items/partial-call.ts';
import { readAlong } from './read-along.ts';
import { identify, type IdentifyParts, type Identification } from './identify.ts';
import { refetchReason, isClientChoice, isFromFuture, standingOf } from './request-rules.ts';
import type { Counts } from './stats.ts';
import type { Lease, Relay } from './stores/relay.ts';
import { type EntryStore, NoRoom } from './stores/store.ts';
import type { Timings } from './timings.ts';

export interface EngineParts {
  readonly store: EntryStore;
  readonly flights: Flights;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  /** Whether the upstream behind an apiEndpoint gets the `Host` that the client sent. */
  forwardsHost(apiEndpoint: string | null): boolean;
  /** Room for a JSON answer that must be read for the usage record when the client's account is full. */
  readonly reserve: ByteAccount;
  /** Accounts for the entries that are being sent to clients, in the same budget. */
  readonly bodies: SharedBodies;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

/** The most bodies whose digests are cached. */
const maxRemembered = 10_000;

/** After this many calls without a shareable answer, identical requests call the upstream separately. */
const maxAttempts = 2;

/** Decides each request: receive, key, lookup, then hit, join or forward. After a call: admit, store. */
export class Engine {
  readonly #parts: EngineParts;
  readonly #admission: Admission;
  readonly #identifyParts: IdentifyParts;
  readonly #items: ItemCache;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#identifyParts = { ...parts, remembered: new Recent<KnownDigest>(maxRemembered) };
    this.#items = new ItemCache({ ...parts, ...this.#identifyParts });
    this.#admission = new Admission(parts);
  }

  /**
   * Decides how to handle a request: synchronously if nothing requires waiting. Never throws or
   * rejects: an internal fault becomes a bypass, and is counted and logged.
   */
  decide(request: LlmRequest, tally: Counts): Decision | Promise<Decision> {
    return this.#decide(request, tally, null);
  }

  /**
   * Decides again after an answer from the cache could not be delivered: the request is forwarded,
   * and the upstream's answer replaces the stored one. Never throws or rejects.
   */
  decideAgain(request: LlmRequest, tally: Counts): Decision | Promise<Decision> {
    return this.#decide(request, tally, { kind: 'bypass', reason: 'store-error', fallback: null });
  }

  #decide(
    request: LlmRequest,
    tally: Counts,
    plan: ForwardPlan | null,
  ): Decision | Promise<Decision> {
    const { settings } = this.#parts;
    const controls = controlsOf(request, settings);
    try {
      const decision = this.#receive({ request, tally, controls, plan });
      if (decision instanceof Promise) return this.#decideLater(decision, controls, tally);
      return this.#conclude(decision, controls, tally);
    } catch (error) {
      return this.#conclude(this.#bypassAfter(error), controls, tally);
    }
  }

  async #decideLater(
    pending: Promise<Decision>,
    controls: ClientControls,
    tally: Counts,
  ): Promise<Decision> {
    let decision: Decision;
    try {
      decision = await pending;
    } catch (error) {
      decision = this.#bypassAfter(error);
    }
    return this.#conclude(decision, controls, tally);
  }

  #bypassAfter(error: unknown): Forward {
    this.#parts.faults.report('llm-cache: the cache failed', error);
    return aside('store-error');
  }

  #conclude(decision: Decision, controls: ClientControls, tally: Counts): Decision {
    const isUnavailable = isForward(decision) && controls.onlyIfCached && controls.bypass === null;
    const final: Decision = isUnavailable ? { kind: 'unavailable', key: decision.key } : decision;
    count(final, tally);
    return final;
  }

  #receive(received: Received): Decision | Promise<Decision> {
    const known = identify(received.request, received.controls, this.#identifyParts);
    if (!(known instanceof Promise)) return this.#decideIdentified(known, received);
    return known.then((one) => this.#decideIdentified(one, received));
  }

  #decideIdentified(
    known: Identification,
    { request, tally, controls, plan }: Received,
  ): Decision | Promise<Decision> {
    if (known === 'gone') return { kind: 'gone' };
    if ('aside' in known) return aside(known.aside);
    const { facts, key, material } = known;
    const whole = { request, tally, controls, facts, key, material, items: null };
    return this.#items.serves(whole)
      ? this.#decideByItem(whole, plan)
      : this.#decideWhole(whole, plan);
  }

  /** Decides a request with several inputs: stored ones are merged with the upstream's answer to the rest. */
  async #decideByItem(whole: Lookup, plan: ForwardPlan | null): Promise<Decision> {
    const { flights } = this.#parts;
    const items = await this.#items.read(whole);
    const lookup = { ...whole, items };
    const goesWhole =
      plan !== null || refetchReason(lookup.controls) !== null || flights.isHitForMiss(lookup.key);
    const found = items === null || goesWhole ? null : await this.#items.find(lookup, items);
    switch (found?.kind) {
      case 'whole':
        return this.#hitOf(lookup, found.entry);
      case 'part':
        return this.#forwardPart(lookup, found.call);
      case 'no-room':
        return aside('buffer-limit');
      default:
        return this.#decideWhole(lookup, plan);
    }
  }

  #decideWhole(lookup: Lookup, plan: ForwardPlan | null): Decision | Promise<Decision> {
    const { controls } = lookup;
    if (plan !== null) return this.#forwardAlone(lookup, plan);
    const always = refetchReason(controls);
    if (always !== null) return this.#forwardAlone(lookup, clientPlan(always));
    const mayJoin = this.#joinableFlight(lookup, 1) !== undefined;
    const found = mayJoin ? null : this.#readStoredNow(lookup);
    const decision = found === null ? null : this.#decideByStored(lookup, found, 1);
    if (decision instanceof Promise) {
      return decision.then((one) => one ?? this.#joinOrLookUp(lookup));
    }
    return decision ?? this.#joinOrLookUp(lookup);
  }

  async #joinOrLookUp(lookup: Lookup): Promise<Decision> {
    const { settings, flights } = this.#parts;
    const { key, request } = lookup;
    for (let attempt = 1; ;) {
      const flight = this.#joinableFlight(lookup, attempt);
      if (flight !== undefined) {
        const joined = await flight.join(settings.coalesceWaitMs, request.left);
        if (joined.kind === 'entry') return this.#joinedOf(lookup, joined.entry);
        if (joined.kind === 'stream') {
          return { kind: 'following', key, flight, follower: joined.follower };
        }
        if (joined.kind === 'left') return { kind: 'gone' };
        // Later requests must not wait as long for the same call.
        if (joined.kind === 'waited') flights.close(key, flight);
        attempt = joined.kind === 'waited' ? Infinity : flight.attempt + 1;
        continue;
      }
      const decision = await this.#decideByStored(lookup, await this.#readStored(lookup), attempt);
      if (decision !== null) return decision;
    }
  }

  /** Decides by what the store holds; null if an identical request has started a call meanwhile. */
  #decideByStored(
    lookup: Lookup,
    found: Stored,
    attempt: number,
  ): Decision | null | Promise<Decision | null> {
    if (found === 'no-room') return aside('buffer-limit');
    const entry = found === 'failed' ? undefined : found;
    const standing = standingOf(entry, lookup.controls, this.#parts.now());
    if (standing === 'fresh' && entry !== undefined) return this.#hit(lookup, entry);
    if (standing === 'too-old') return this.#forwardAlone(lookup, clientPlan('max-age'));
    if (this.#joinableFlight(lookup, attempt) !== undefined) return null;
    const plan = planFor(found, this.#fallbackFor(lookup, entry));
    if (!this.#mayShare(lookup, attempt)) return this.#forwardAlone(lookup, plan);
    return this.#lead(lookup, plan, attempt);
  }

  /** Reads from a store in this process; null if the read requires waiting. */
  #readStoredNow(lookup: Lookup): Stored | null {
    const { store, settings, timings, faults } = this.#parts;
    if (store.getNow === undefined) return null;
    const startedAt = performance.now();
    try {
      return store.getNow(lookup.key, this.#takesGzip(lookup));
    } catch (error) {
      faults.report('llm-cache: the store failed', error);
      return 'failed';
    } finally {
      timings.lookup(settings.store, (performance.now() - startedAt) / 1000);
    }
  }

  /** A store failure disables lookup, not coalescing. */
  async #readStored(lookup: Lookup): Promise<Stored> {
    const { store, settings, timings, faults } = this.#parts;
    const startedAt = performance.now();
    try {
      return await store.get(lookup.key, this.#takesGzip(lookup));
    } catch (error) {
      if (error instanceof NoRoom) return 'no-room';
      faults.report('llm-cache: the store failed', error);
      return 'failed';
    } finally {
      timings.lookup(settings.store, (performance.now() - startedAt) / 1000);
    }
  }

  #takesGzip({ request }: Lookup): boolean {
    return this.#parts.settings.compressHits === 'auto' && request.takesGzip;
  }

  #joinedOf(lookup: Lookup, entry: CachedResponse): Decision {
    if (!this.#charge(lookup, entry)) return aside('buffer-limit');
    return { kind: 'joined', key: lookup.key, entry };
  }

  /** Charges the entry's body until the exchange is over; false if the budget has no room for it. */
  #charge({ request }: Lookup, entry: CachedResponse): boolean {
    const { bodies } = this.#parts;
    if (!bodies.hold(entry)) return false;
    request.whenOver(() => bodies.release(entry));
    return true;
  }

  #hit(lookup: Lookup, entry: CachedResponse): Decision {
    if (!this.#charge(lookup, entry)) return aside('buffer-limit');
    this.#parts.store.used(lookup.key, entry);
    return this.#hitOf(lookup, entry);
  }

  #hitOf({ key }: Lookup, entry: CachedResponse): Decision {
    const age = Math.max(0, Math.floor((this.#parts.now() - entry.storedAt) / 1000));
    const ttl = Math.round((entry.freshUntil - entry.storedAt) / 1000) - age;
    return { kind: 'hit', key, entry, age, ttl };
  }

  #mayShare({ key, controls }: Lookup, attempt: number): boolean {
    const { settings, flights } = this.#parts;
    if (!settings.coalesce || controls.onlyIfCached) return false;
    return attempt <= maxAttempts && !flights.isHitForMiss(key);
  }

  #joinableFlight(lookup: Lookup, attempt: number): Flight | undefined {
    return this.#mayShare(lookup, attempt) ? this.#parts.flights.find(lookup.key) : undefined;
  }

  #fallbackFor(lookup: Lookup, expired: CachedResponse | undefined): CachedResponse | null {
    if (expired === undefined) return null;
    const { settings, now } = this.#parts;
    const until = expired.freshUntil + settings.staleIfError * 1000;
    const mayServe = now() < until && !isFromFuture(expired, now());
    return mayServe && this.#charge(lookup, expired) ? expired : null;
  }

  /** Starts a call that identical requests may join; null if this gateway reads along with another's call. */
  #lead(lookup: Lookup, plan: ForwardPlan, attempt: number): Forward | Promise<Forward | null> {
    const { flights, store } = this.#parts;
    const flight = this.#createFlight(lookup, attempt);
    flights.open(lookup.key, flight);
    if (plan.reason === 'store-error' || store.relay === undefined) {
      return this.#forwardLeading(lookup, plan, flight);
    }
    return this.#leadWithLease(lookup, plan, flight, store.relay);
  }

  /** Leads if this gateway gets the lease on the call that several gateways share. */
  async #leadWithLease(
    lookup: Lookup,
    plan: ForwardPlan,
    flight: Flight,
    relay: Relay,
  ): Promise<Forward | null> {
    const { flights, store } = this.#parts;
    const { key } = lookup;
    let lease: Lease | null;
    try {
      lease = await relay.lease(key);
    } catch {
      // The store reports its own faults, and a fault must not delay the call.
      return this.#forwardLeading(lookup, plan, flight);
    }
    if (lease === null) {
      readAlong({ key, flight, store, flights });
      return null;
    }
    flight.shareBy(lease);
    return this.#forwardLeading(lookup, plan, flight);
  }

  #forwardLeading(
    lookup: Lookup,
    { kind, reason, fallback }: ForwardPlan,
    flight: Flight,
  ): Forward {
    const { flights } = this.#parts;
    const { key } = lookup;
    const settled = this.#admitWhenRead(lookup, flight).then(({ entry, outcome }) => {
      flights.close(key, flight);
      if (entry === null && flight.attempt >= maxAttempts) flights.markHitForMiss(key);
      return flight.settle(entry, outcome);
    });
    return { kind, reason, fallback, part: null, key, flight, settled };
  }

  /** Starts a call for the inputs that are not stored. Other requests do not join it. */
  #forwardPart(lookup: Lookup, part: PartialCall): Forward {
    const { flights } = this.#parts;
    const { key, facts } = lookup;
    const partLookup = {
      ...lookup,
      items: part.items,
      facts: { ...facts, parts: part.items.asked.length },
    };
    const flight = this.#createFlight(partLookup, maxAttempts);
    flight.reader.whenRead((answer) => {
      const isAnswer =
        answer.status === 200 && answer.cut !== 'aborted' && answer.cut !== 'client-left';
      // The next request is forwarded whole if this answer does not fit the stored items.
      if (isAnswer && part.whole(answer) === null) flights.markHitForMiss(key);
    });
    const settled = this.#admitWhenRead(partLookup, flight).then(() => {});
    return { kind: 'miss', reason: 'partial', fallback: null, part, key, flight, settled };
  }

  /** Starts a call that other requests do not join. */
  #forwardAlone(lookup: Lookup, plan: ForwardPlan): Forward {
    const { flights } = this.#parts;
    const flight = this.#createFlight(lookup, maxAttempts);
    const settled = this.#admitWhenRead(lookup, flight).then(({ entry }) => {
      if (entry !== null) flights.clearHitForMiss(lookup.key);
    });
    return { ...plan, part: null, key: lookup.key, flight, settled };
  }

  #admitWhenRead(lookup: Lookup, flight: Flight): Promise<Admitted> {
    return new Promise((resolve) => {
      flight.reader.whenRead((answer) => resolve(this.#admission.admit(lookup, answer, flight)));
    });
  }

  #createFlight({ request, material }: Lookup, attempt: number): Flight {
    // Read the body now, while it is retained and accounted for: the answer may take minutes.
    void Promise.resolve(material.counting).catch(() => {});
    const { settings, reserve, digest } = this.#parts;
    const maxBytes = settings.maxResponseBytes;
    const budget = request.account;
    const reader = new AnswerReader(request.protocol, { keep: true, maxBytes, budget, reserve });
    const finishAlone = settings.finishOnDisconnect;
    const startedAt = performance.now();
    const consumer = consumerId(request.identity, digest);
    return new Flight({
      startedAt,
      consumer,
      fingerprint: async () => fingerprintOf(material, await material.counting, digest),
      reader,
      attempt,
      maxBytes: mayBeBehind(maxBytes),
      finishAlone,
    });
  }
}

/** The result of reading the store; undefined if it holds no entry. */
type Stored = CachedResponse | undefined | 'failed' | 'no-room';

/** A request to decide on. With a `plan` it is forwarded so, whatever is stored. */
interface Received {
  readonly request: LlmRequest;
  readonly tally: Counts;
  readonly controls: ClientControls;
  readonly plan: ForwardPlan | null;
}

/** How and why a request is forwarded. */
type ForwardPlan = Pick<Forward, 'kind' | 'reason' | 'fallback'>;

/** The plan for a client that asked for a new answer. */
function clientPlan(reason: AsideReason): ForwardPlan {
  return { kind: 'request', reason, fallback: null };
}

function planFor(
  found: CachedResponse | undefined | 'failed',
  fallback: CachedResponse | null,
): ForwardPlan {
  if (found === 'failed') return { kind: 'bypass', reason: 'store-error', fallback };
  return { kind: found === undefined ? 'miss' : 'stale', reason: null, fallback };
}

function count(decision: Decision, tally: Counts): void {
  switch (decision.kind) {
    case 'gone':
    case 'hit':
    case 'joined':
    case 'following':
      // Counted after delivery.
      return;
    case 'unavailable':
      return tally.count('miss', 'only-if-cached');
    default:
      // With a fallback the outcome is known only once the upstream has answered or failed.
      if (decision.fallback === null) tally.count(outcomeOf(decision), decision.reason);
  }
}

function isForward(decision: Decision): decision is Forward {
  return 'fallback' in decision;
}

function aside(reason: AsideReason): Forward {
  const kind = isClientChoice(reason) ? 'request' : 'bypass';
  const settled = Promise.resolve();
  return { kind, reason, key: null, flight: null, fallback: null, part: null, settled };
}
