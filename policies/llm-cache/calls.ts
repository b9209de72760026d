import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { AnswerReader } from '../shared/answer-reader.ts';
import type { ByteAccount } from '../shared/bytes/budget.ts';
import { consumerId } from '../shared/identity/identity.ts';
import { Admission, type AdmissionParts, type Admitted } from './admission.ts';
import type { Forward } from './decision.ts';
import { fingerprintOf } from './fingerprint.ts';
import { Flight, mayBeBehind } from './flight.ts';
import type { Flights } from './flights.ts';
import type { PartialCall } from './items/partial-call.ts';
import type { Lookup } from './lookup.ts';
import { readAlong } from './read-along.ts';
import type { Lease, Relay } from './stores/relay.ts';

export interface CallsParts extends AdmissionParts {
  readonly flights: Flights;
  readonly settings: LlmCacheSettings;
  /** Room for a JSON answer that must be read for the usage record when the client's account is full. */
  readonly reserve: ByteAccount;
}

/** How and why a request is forwarded. */
export type ForwardPlan = Pick<Forward, 'kind' | 'reason' | 'fallback'>;

/** After this many calls without a shareable answer, identical requests call the upstream separately. */
export const maxAttempts = 2;

/** Starts the calls of requests that are forwarded, and has their answers admitted. */
export class Calls {
  readonly #parts: CallsParts;
  readonly #admission: Admission;

  constructor(parts: CallsParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts);
  }

  /** Starts a call that identical requests may join; null if this gateway reads along with another's call. */
  lead(lookup: Lookup, plan: ForwardPlan, attempt: number): Forward | Promise<Forward | null> {
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
  part(lookup: Lookup, part: PartialCall): Forward {
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
  alone(lookup: Lookup, plan: ForwardPlan): Forward {
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
