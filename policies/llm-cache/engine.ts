import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { AnswerWatch } from '../shared/answer-watch.ts';
import type { ByteBudget } from '../shared/budget.ts';
import { consumerId } from '../shared/consumer.ts';
import type { Digest, OpenExchange } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import type { AsideReason } from '../shared/reasons.ts';
import { Recent } from '../shared/recent.ts';
import type { SharedBodies } from '../shared/shared-bodies.ts';
import { Admission } from './admission.ts';
import { type ClientControls, noControls, readControls } from './client-controls.ts';
import { type Decision, type Forward, outcomeOf } from './decision.ts';
import type { CachedResponse } from './entry.ts';
import { Flight, mayBeBehind } from './flight.ts';
import type { Flights } from './flights.ts';
import type { Lookup } from './lookup.ts';
import { readAlong } from './read-along.ts';
import { recognise } from './recognition.ts';
import { freshAlways, isClientsWish, standingOf } from './request-rules.ts';
import type { Tally } from './stats.ts';
import type { Lease } from './stores/relay.ts';
import { type EntryStore, NoRoom } from './stores/store.ts';
import type { Timings } from './timings.ts';

export interface EngineParts {
  readonly store: EntryStore;
  readonly flights: Flights;
  readonly settings: LlmCacheSettings;
  readonly digest: Digest;
  readonly budget: ByteBudget;
  /** Of the entries that are on their way to clients; of the same budget. */
  readonly bodies: SharedBodies;
  readonly timings: Timings;
  readonly faults: FaultLog;
  readonly now: () => number;
}

/** Bodies whose digests are remembered, at most. */
const maxRemembered = 10_000;

/** After so many calls that nobody could share, identical requests go each by itself. */
const maxAttempts = 2;

/** The story of a request: recv, key, lookup, then hit, join or forward; capture, admit, store. */
export class Engine {
  readonly #parts: EngineParts;
  readonly #admission: Admission;
  readonly #remembered = new Recent<string>(maxRemembered);

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts);
  }

  /** Never rejects: a fault in here is a bypass, counted and logged. */
  async decide(exchange: OpenExchange, tally: Tally): Promise<Decision> {
    const { settings, faults } = this.#parts;
    const controls = settings.clientControls
      ? readControls((name) => exchange.request.header(name))
      : noControls;
    let decision: Decision;
    try {
      decision = await this.#receive(exchange, tally, controls);
    } catch (error) {
      faults.report('llm-cache: the cache failed', error);
      decision = aside('store-error');
    }
    if (isForward(decision) && controls.onlyIfCached && controls.bypass === null) {
      decision = { kind: 'unavailable', key: decision.key };
    }
    count(decision, tally);
    return decision;
  }

  async #receive(
    exchange: OpenExchange,
    tally: Tally,
    controls: ClientControls,
  ): Promise<Decision> {
    const { settings, digest } = this.#parts;
    const { request } = exchange;
    const known = await recognise(request, controls, settings, digest, this.#remembered);
    if (known === 'gone') return { kind: 'gone' };
    if ('aside' in known) return aside(known.aside);
    const consumer = consumerId(request.consumer, digest);
    return this.#lookup({ exchange, consumer, tally, controls, ...known });
  }

  async #lookup(lookup: Lookup): Promise<Decision> {
    const { settings, flights, now } = this.#parts;
    const { key, controls, exchange } = lookup;
    const always = freshAlways(controls);
    if (always !== null) return this.#alone(lookup, asked(always));

    for (let attempt = 1; ;) {
      const flight = this.#joinable(lookup, attempt);
      if (flight !== undefined) {
        const seat = await flight.join(settings.coalesceWaitMs, exchange.request.left);
        if (seat.kind === 'entry') return this.#joined(lookup, seat.entry);
        if (seat.kind === 'stream') {
          return { kind: 'following', key, flight, follower: seat.follower };
        }
        if (seat.kind === 'left') return { kind: 'gone' };
        // What comes next shall not wait as long for the same call.
        if (seat.kind === 'waited') flights.close(key, flight);
        attempt = seat.kind === 'waited' ? Infinity : flight.attempt + 1;
        continue;
      }
      const found = await this.#stored(key);
      if (found === 'no-room') return aside('buffer-limit');
      const entry = found === 'failed' ? undefined : found;
      const standing = standingOf(entry, controls, now());
      if (standing === 'fresh' && entry !== undefined) return this.#hit(lookup, entry);
      if (standing === 'too-old') return this.#alone(lookup, asked('max-age'));
      // Somebody may have made the call while the store was asked.
      if (this.#joinable(lookup, attempt) !== undefined) continue;
      const way = wayOf(found, this.#fallback(lookup, entry));
      if (!this.#mayShare(lookup, attempt)) return this.#alone(lookup, way);
      const led = await this.#lead(lookup, way, attempt);
      if (led !== null) return led;
    }
  }

  /** A store that fails keeps identical requests from nothing but what is stored. */
  async #stored(key: string): Promise<CachedResponse | undefined | 'failed' | 'no-room'> {
    const { store, settings, timings, faults } = this.#parts;
    const startedAt = performance.now();
    try {
      return await store.get(key);
    } catch (error) {
      if (error instanceof NoRoom) return 'no-room';
      faults.report('llm-cache: the store failed', error);
      return 'failed';
    } finally {
      timings.lookup(settings.store, (performance.now() - startedAt) / 1000);
    }
  }

  #joined(lookup: Lookup, entry: CachedResponse): Decision {
    if (!this.#hold(lookup, entry)) return aside('buffer-limit');
    return { kind: 'joined', key: lookup.key, entry };
  }

  /** Charges the entry's body until the exchange is over; false where there is no room for it. */
  #hold({ exchange }: Lookup, entry: CachedResponse): boolean {
    const { bodies } = this.#parts;
    if (!bodies.hold(entry)) return false;
    exchange.whenOver(() => bodies.release(entry));
    return true;
  }

  #hit(lookup: Lookup, entry: CachedResponse): Decision {
    const { key } = lookup;
    if (!this.#hold(lookup, entry)) return aside('buffer-limit');
    const age = Math.max(0, Math.floor((this.#parts.now() - entry.storedAt) / 1000));
    this.#parts.store.used(key, entry);
    const ttl = Math.round((entry.freshUntil - entry.storedAt) / 1000) - age;
    return { kind: 'hit', key, entry, age, ttl };
  }

  #mayShare({ key, controls }: Lookup, attempt: number): boolean {
    const { settings, flights } = this.#parts;
    if (!settings.coalesce || controls.onlyIfCached) return false;
    return attempt <= maxAttempts && !flights.passes(key);
  }

  #joinable(lookup: Lookup, attempt: number): Flight | undefined {
    return this.#mayShare(lookup, attempt) ? this.#parts.flights.find(lookup.key) : undefined;
  }

  #fallback(lookup: Lookup, expired: CachedResponse | undefined): CachedResponse | null {
    if (expired === undefined) return null;
    const until = expired.freshUntil + this.#parts.settings.staleIfError * 1000;
    return this.#parts.now() < until && this.#hold(lookup, expired) ? expired : null;
  }

  /** A call that identical requests may join; null where another gateway makes it, and this one reads along. */
  async #lead(lookup: Lookup, way: Way, attempt: number): Promise<Forward | null> {
    const { flights, store } = this.#parts;
    const { key } = lookup;
    const flight = this.#flight(lookup, attempt);
    flights.open(key, flight);
    const lease = way.reason === 'store-error' ? null : await this.#lease(key);
    if (lease === 'elsewhere') {
      readAlong({ key, flight, store, flights });
      return null;
    }
    flight.lease = lease;
    const concluded = this.#admission.conclude(lookup, flight).then(({ entry, outcome }) => {
      flights.close(key, flight);
      if (entry === null && attempt >= maxAttempts) flights.pass(key);
      flight.conclude(entry);
      return lease?.end(outcome);
    });
    const { kind, reason, fallback } = way;
    return { kind, reason, fallback, key, flight, concluded };
  }

  /** The lease on the call, where several gateways share one; null where there is none to have. */
  async #lease(key: string): Promise<Lease | 'elsewhere' | null> {
    const { relay } = this.#parts.store;
    if (relay === undefined) return null;
    try {
      return (await relay.lease(key)) ?? 'elsewhere';
    } catch {
      // A store that cannot tell keeps nobody from calling; it says so itself.
      return null;
    }
  }

  /** A call that nobody joins. */
  #alone(lookup: Lookup, way: Way): Forward {
    const { flights } = this.#parts;
    const flight = this.#flight(lookup, maxAttempts);
    const concluded = this.#admission.conclude(lookup, flight).then(({ entry }) => {
      if (entry !== null) flights.coalesceAgain(lookup.key);
    });
    return { ...way, key: lookup.key, flight, concluded };
  }

  #flight({ exchange }: Lookup, attempt: number): Flight {
    const { settings, budget } = this.#parts;
    const maxBytes = settings.maxResponseBytes;
    // Of its own, as long as it is not known whose call it is.
    const unbound = { request: exchange.request, served: null, answer: null };
    const watch = new AnswerWatch(unbound, { keep: true, maxBytes, budget });
    const finishAlone = settings.finishOnDisconnect;
    const startedAt = this.#parts.now();
    return new Flight({ startedAt, watch, attempt, maxBytes: mayBeBehind(maxBytes), finishAlone });
  }
}

/** Why and how a request goes on, whoever makes the call. */
type Way = Pick<Forward, 'kind' | 'reason' | 'fallback'>;

function asked(reason: AsideReason): Way {
  return { kind: 'request', reason, fallback: null };
}

function wayOf(found: CachedResponse | undefined | 'failed', fallback: CachedResponse | null): Way {
  if (found === 'failed') return { kind: 'bypass', reason: 'store-error', fallback };
  return { kind: found === undefined ? 'miss' : 'stale', reason: null, fallback };
}

function count(decision: Decision, tally: Tally): void {
  switch (decision.kind) {
    case 'gone':
      return;
    case 'hit':
      return tally.count('hit', null);
    case 'joined':
    case 'following':
      return tally.count('coalesced', null);
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
  return { kind, reason, key: null, flight: null, fallback: null, concluded: Promise.resolve() };
}
