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
import { recognise, type Recognising, type Recognition } from './identify.ts';
import { freshAlways, isClientsWish, isOfTheFuture, standingOf } from './request-rules.ts';
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
  /** Where there is room for what must be read for the books when a client's account has none. */
  readonly reserve: ByteAccount;
  /** Of the entries that are on their way to clients; of the same budget. */
  readonly bodies: SharedBodies;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

/** Bodies whose digests are remembered, at most. */
const maxRemembered = 10_000;

/** After so many calls whose answer could not be shared, identical requests go each by itself. */
const maxAttempts = 2;

/** The story of a request: recv, key, lookup, then hit, join or forward; capture, admit, store. */
export class Engine {
  readonly #parts: EngineParts;
  readonly #admission: Admission;
  readonly #recognising: Recognising;
  readonly #items: ItemCache;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#recognising = { ...parts, remembered: new Recent<KnownDigest>(maxRemembered) };
    this.#items = new ItemCache({ ...parts, ...this.#recognising });
    this.#admission = new Admission(parts);
  }

  /**
   * What is to be done with a request: at once where nothing has to be waited for. Never throws or
   * rejects: a fault in here is a bypass, counted and logged.
   */
  decide(request: LlmRequest, tally: Counts): Decision | Promise<Decision> {
    return this.#decide(request, tally, null);
  }

  /**
   * What becomes of a request whose answer from the cache could not be delivered: it goes on, and
   * what the upstream answers takes the place of what is stored. Never throws or rejects.
   */
  decideAgain(request: LlmRequest, tally: Counts): Decision | Promise<Decision> {
    return this.#decide(request, tally, { kind: 'bypass', reason: 'store-error', fallback: null });
  }

  #decide(request: LlmRequest, tally: Counts, way: Way | null): Decision | Promise<Decision> {
    const { settings } = this.#parts;
    const controls = controlsOf(request, settings);
    try {
      const decision = this.#receive({ request, tally, controls, way });
      if (decision instanceof Promise) return this.#later(decision, controls, tally);
      return this.#decided(decision, controls, tally);
    } catch (error) {
      return this.#decided(this.#failed(error), controls, tally);
    }
  }

  async #later(
    pending: Promise<Decision>,
    controls: ClientControls,
    tally: Counts,
  ): Promise<Decision> {
    let decision: Decision;
    try {
      decision = await pending;
    } catch (error) {
      decision = this.#failed(error);
    }
    return this.#decided(decision, controls, tally);
  }

  #failed(error: unknown): Forward {
    this.#parts.faults.report('llm-cache: the cache failed', error);
    return aside('store-error');
  }

  #decided(decision: Decision, controls: ClientControls, tally: Counts): Decision {
    const isUnavailable = isForward(decision) && controls.onlyIfCached && controls.bypass === null;
    const made: Decision = isUnavailable ? { kind: 'unavailable', key: decision.key } : decision;
    count(made, tally);
    return made;
  }

  #receive(asked: Asked): Decision | Promise<Decision> {
    const known = recognise(asked.request, asked.controls, this.#recognising);
    if (!(known instanceof Promise)) return this.#recognised(known, asked);
    return known.then((one) => this.#recognised(one, asked));
  }

  #recognised(known: Recognition, asked: Asked): Decision | Promise<Decision> {
    if (known === 'gone') return { kind: 'gone' };
    if ('aside' in known) return aside(known.aside);
    const { request, tally, controls, way } = asked;
    const { facts, key, material } = known;
    const whole = { request, tally, controls, facts, key, material, items: null };
    return this.#items.serves(whole) ? this.#byItems(whole, way) : this.#goOn(whole, way);
  }

  /** A request of several inputs: what is stored of them, put together with what the upstream has. */
  async #byItems(whole: Lookup, way: Way | null): Promise<Decision> {
    const { flights } = this.#parts;
    const items = await this.#items.read(whole);
    const lookup = { ...whole, items };
    const goesWhole =
      way !== null || freshAlways(lookup.controls) !== null || flights.isHitForMiss(lookup.key);
    const found = items === null || goesWhole ? null : await this.#items.find(lookup, items);
    switch (found?.kind) {
      case 'whole':
        return this.#hitOf(lookup, found.entry);
      case 'part':
        return this.#partly(lookup, found.call);
      case 'no-room':
        return aside('buffer-limit');
      default:
        return this.#goOn(lookup, way);
    }
  }

  #goOn(lookup: Lookup, way: Way | null): Decision | Promise<Decision> {
    const { controls } = lookup;
    if (way !== null) return this.#alone(lookup, way);
    const always = freshAlways(controls);
    if (always !== null) return this.#alone(lookup, clientsWay(always));
    const found = this.#joinable(lookup, 1) === undefined ? this.#storedNow(lookup) : null;
    const decision = found === null ? null : this.#byStored(lookup, found, 1);
    if (decision instanceof Promise) return decision.then((one) => one ?? this.#lookup(lookup));
    return decision ?? this.#lookup(lookup);
  }

  async #lookup(lookup: Lookup): Promise<Decision> {
    const { settings, flights } = this.#parts;
    const { key, request } = lookup;
    for (let attempt = 1; ;) {
      const flight = this.#joinable(lookup, attempt);
      if (flight !== undefined) {
        const joined = await flight.join(settings.coalesceWaitMs, request.left);
        if (joined.kind === 'entry') return this.#joined(lookup, joined.entry);
        if (joined.kind === 'stream') {
          return { kind: 'following', key, flight, follower: joined.follower };
        }
        if (joined.kind === 'left') return { kind: 'gone' };
        // What comes next shall not wait as long for the same call.
        if (joined.kind === 'waited') flights.close(key, flight);
        attempt = joined.kind === 'waited' ? Infinity : flight.attempt + 1;
        continue;
      }
      const decision = await this.#byStored(lookup, await this.#stored(lookup), attempt);
      if (decision !== null) return decision;
    }
  }

  /** The decision by what the store has; null where an identical request has begun meanwhile. */
  #byStored(
    lookup: Lookup,
    found: Stored,
    attempt: number,
  ): Decision | null | Promise<Decision | null> {
    if (found === 'no-room') return aside('buffer-limit');
    const entry = found === 'failed' ? undefined : found;
    const standing = standingOf(entry, lookup.controls, this.#parts.now());
    if (standing === 'fresh' && entry !== undefined) return this.#hit(lookup, entry);
    if (standing === 'too-old') return this.#alone(lookup, clientsWay('max-age'));
    if (this.#joinable(lookup, attempt) !== undefined) return null;
    const way = wayOf(found, this.#fallback(lookup, entry));
    if (!this.#mayShare(lookup, attempt)) return this.#alone(lookup, way);
    return this.#lead(lookup, way, attempt);
  }

  /** What a store in this process has; null where it takes waiting to tell. */
  #storedNow(lookup: Lookup): Stored | null {
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
  async #stored(lookup: Lookup): Promise<Stored> {
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

  #joined(lookup: Lookup, entry: CachedResponse): Decision {
    if (!this.#hold(lookup, entry)) return aside('buffer-limit');
    return { kind: 'joined', key: lookup.key, entry };
  }

  /** Charges the entry's body until the exchange is over; false where there is no room for it. */
  #hold({ request }: Lookup, entry: CachedResponse): boolean {
    const { bodies } = this.#parts;
    if (!bodies.hold(entry)) return false;
    request.whenOver(() => bodies.release(entry));
    return true;
  }

  #hit(lookup: Lookup, entry: CachedResponse): Decision {
    if (!this.#hold(lookup, entry)) return aside('buffer-limit');
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

  #joinable(lookup: Lookup, attempt: number): Flight | undefined {
    return this.#mayShare(lookup, attempt) ? this.#parts.flights.find(lookup.key) : undefined;
  }

  #fallback(lookup: Lookup, expired: CachedResponse | undefined): CachedResponse | null {
    if (expired === undefined) return null;
    const { settings, now } = this.#parts;
    const until = expired.freshUntil + settings.staleIfError * 1000;
    const mayServe = now() < until && !isOfTheFuture(expired, now());
    return mayServe && this.#hold(lookup, expired) ? expired : null;
  }

  /** A call that identical requests may join; null where another gateway makes it, and this one reads along. */
  #lead(lookup: Lookup, way: Way, attempt: number): Forward | Promise<Forward | null> {
    const { flights, store } = this.#parts;
    const flight = this.#flight(lookup, attempt);
    flights.open(lookup.key, flight);
    if (way.reason === 'store-error' || store.relay === undefined) {
      return this.#leading(lookup, way, flight);
    }
    return this.#leadForAll(lookup, way, flight, store.relay);
  }

  /** The same where several gateways share one call, for which one of them has the lease. */
  async #leadForAll(
    lookup: Lookup,
    way: Way,
    flight: Flight,
    relay: Relay,
  ): Promise<Forward | null> {
    const { flights, store } = this.#parts;
    const { key } = lookup;
    let lease: Lease | null;
    try {
      lease = await relay.lease(key);
    } catch {
      // A store that cannot tell says so itself, and delays no call.
      return this.#leading(lookup, way, flight);
    }
    if (lease === null) {
      readAlong({ key, flight, store, flights });
      return null;
    }
    flight.shareBy(lease);
    return this.#leading(lookup, way, flight);
  }

  #leading(lookup: Lookup, { kind, reason, fallback }: Way, flight: Flight): Forward {
    const { flights } = this.#parts;
    const { key } = lookup;
    const settled = this.#admitted(lookup, flight).then(({ entry, outcome }) => {
      flights.close(key, flight);
      if (entry === null && flight.attempt >= maxAttempts) flights.markHitForMiss(key);
      return flight.settle(entry, outcome);
    });
    return { kind, reason, fallback, part: null, key, flight, settled };
  }

  /** A call for the inputs that are not stored, which nobody joins. */
  #partly(lookup: Lookup, part: PartialCall): Forward {
    const { flights } = this.#parts;
    const { key, facts } = lookup;
    const asked = {
      ...lookup,
      items: part.items,
      facts: { ...facts, parts: part.items.asked.length },
    };
    const flight = this.#flight(asked, maxAttempts);
    flight.reader.whenRead((answer) => {
      const isAnswer =
        answer.status === 200 && answer.cut !== 'aborted' && answer.cut !== 'client-left';
      // What does not fit is asked for as a whole the next time.
      if (isAnswer && part.whole(answer) === null) flights.markHitForMiss(key);
    });
    const settled = this.#admitted(asked, flight).then(() => {});
    return { kind: 'miss', reason: 'partial', fallback: null, part, key, flight, settled };
  }

  /** A call that no other request joins. */
  #alone(lookup: Lookup, way: Way): Forward {
    const { flights } = this.#parts;
    const flight = this.#flight(lookup, maxAttempts);
    const settled = this.#admitted(lookup, flight).then(({ entry }) => {
      if (entry !== null) flights.clearHitForMiss(lookup.key);
    });
    return { ...way, part: null, key: lookup.key, flight, settled };
  }

  #admitted(lookup: Lookup, flight: Flight): Promise<Admitted> {
    return new Promise((resolve) => {
      flight.reader.whenRead((answer) => resolve(this.#admission.admit(lookup, answer, flight)));
    });
  }

  #flight({ request, material }: Lookup, attempt: number): Flight {
    // Read now, as long as the body is there and accounted for; its answer may take minutes.
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

/** What was found in the store, or why that is not known. */
type Stored = CachedResponse | undefined | 'failed' | 'no-room';

/** A request to decide on; with a `way` it goes on in that way, whatever is stored. */
interface Asked {
  readonly request: LlmRequest;
  readonly tally: Counts;
  readonly controls: ClientControls;
  readonly way: Way | null;
}

/** Why and how a request goes on, on this gateway or another. */
type Way = Pick<Forward, 'kind' | 'reason' | 'fallback'>;

/** The client asked for a fresh answer. */
function clientsWay(reason: AsideReason): Way {
  return { kind: 'request', reason, fallback: null };
}

function wayOf(found: CachedResponse | undefined | 'failed', fallback: CachedResponse | null): Way {
  if (found === 'failed') return { kind: 'bypass', reason: 'store-error', fallback };
  return { kind: found === undefined ? 'miss' : 'stale', reason: null, fallback };
}

function count(decision: Decision, tally: Counts): void {
  switch (decision.kind) {
    case 'gone':
    case 'hit':
    case 'joined':
    case 'following':
      // Counted when it has been delivered.
      return;
    case 'unavailable':
      return tally.count('miss', 'only-if-cached');
    default:
      // Whether an expired entry answers after all is known when the upstream has failed.
      if (decision.fallback === null) tally.count(outcomeOf(decision), decision.reason);
  }
}

function isForward(decision: Decision): decision is Forward {
  return 'fallback' in decision;
}

function aside(reason: AsideReason): Forward {
  const kind = isClientsWish(reason) ? 'request' : 'bypass';
  const settled = Promise.resolve();
  return { kind, reason, key: null, flight: null, fallback: null, part: null, settled };
}
