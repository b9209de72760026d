import type { RefusalReason } from '../shared/reasons.ts';
import { appendCacheStatus, cacheStatus } from './cache-status.ts';
import { type Forward, outcomeOf } from './decision.ts';
import type { Delivery } from './delivery.ts';
import { factsOf } from './entry.ts';
import type { Flight } from './flight.ts';
import type { WholeAnswer } from './items/partial-call.ts';
import { forwardedMark, type Reply, staleReply, unreadableReply } from './replies.ts';
import { isFailing } from './response-rules.ts';
import type { OutcomeName } from './stats.ts';

/** Headers in which a cache further up tells of itself, and which would be taken for ours. */
export const otherCachesHeaders = ['X-Cache', 'Age'] as const;

/** Headers of the upstream's answer that say nothing of one that was put together. */
export const headersOfItsBytes: readonly string[] = [
  'content-encoding',
  'transfer-encoding',
  'trailer',
  'etag',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
];

const unreadable: ReadonlySet<RefusalReason | null> = new Set<RefusalReason>([
  'too-large',
  'buffer-limit',
  'encoding',
]);

/** A request on its way to the upstream, and what the cache makes of the answer. */
export class ForwardedCall {
  /** Sees the answer; null where the cache does not want it. */
  readonly flight: Flight | null;
  readonly #decision: Forward;
  readonly #delivery: Delivery;
  readonly #debugKey: string | null;
  #outcome: OutcomeName;
  #whole: WholeAnswer | null = null;
  #isUnreadable = false;

  constructor(decision: Forward, delivery: Delivery, debugKey: string | null) {
    const { flight, fallback, reason } = decision;
    this.flight = flight;
    this.#decision = decision;
    this.#delivery = delivery;
    this.#debugKey = debugKey;
    this.#outcome = outcomeOf(decision);
    if (flight === null) return;
    // The flight reads the answer for the books as well.
    delivery.exchange.answer = flight.reader;
    const { part } = decision;
    if (part !== null) {
      flight.reader.whenRead((answer) => {
        this.#whole = part.whole(answer);
        this.#isUnreadable = answer.status === 200 && unreadable.has(answer.fault);
        delivery.exchange.saved = this.#whole?.saved ?? null;
      });
    }
    if (fallback === null) return;
    flight.reader.whenRead(() => delivery.tally.count(this.#outcome, reason));
  }

  /** What the upstream is asked in place of what the client sent; null where it goes on as it came. */
  get asked(): Uint8Array | null {
    return this.#decision.part?.body ?? null;
  }

  /** The answer to all that the client has asked, once the upstream's has been read; null where that is it. */
  get whole(): Uint8Array | null {
    return this.#whole?.body ?? null;
  }

  /** What answers where the upstream's answer to a part could not be read: it would pass for all. */
  get unreadable(): Reply | null {
    return this.#isUnreadable ? unreadableReply(this.#delivery.exchange.request.protocol) : null;
  }

  /** Whether an expired entry may answer in place of an upstream that fails. */
  get hasStandIn(): boolean {
    return this.#decision.fallback !== null;
  }

  /** Whether an expired entry answers in place of an upstream's answer with that status. */
  replaces(status: number): boolean {
    return this.hasStandIn && isFailing(status);
  }

  /**
   * The headers that tell what the cache did, to be set when the head of the upstream's answer goes
   * out in place of `otherCachesHeaders`; `upstreams` is its own `Cache-Status`. Null where an
   * expired entry answers.
   */
  marks(upstreams: string | undefined): Record<string, string> | null {
    const { timings, tally, startedAt, settings } = this.#delivery;
    timings.firstByte(tally, this.#outcome, (performance.now() - startedAt) / 1000);
    if (this.#outcome === 'stale') return null;
    const status = appendCacheStatus(upstreams, cacheStatus(this.#decision));
    const marks: Record<string, string> = { 'Cache-Status': status };
    if (settings.statusHeader === 'always') marks['X-Cache'] = forwardedMark(this.#decision);
    if (this.#debugKey !== null) marks['X-Cache-Key'] = this.#debugKey;
    return marks;
  }

  /** The expired entry that answers: the upstream failed, with that status or, where it is null, without one. */
  standIn(status: number | null): Reply {
    const { fallback, key } = this.#decision;
    const { exchange, store, now, settings } = this.#delivery;
    if (fallback === null) throw new Error('no expired entry stands in for this call');
    exchange.cacheType = 'stale';
    exchange.answer = factsOf(fallback);
    this.#outcome = 'stale';
    if (key !== null) store.used(key, fallback);
    this.flight?.abort(status === null ? 'aborted' : 'status');
    const { compressHits } = settings;
    const reply = staleReply(fallback, { status, now: now(), compressHits });
    if (this.#debugKey === null) return reply;
    return { ...reply, headers: { ...reply.headers, 'X-Cache-Key': this.#debugKey } };
  }

  /** Nothing will come of the call. */
  abort(reason: RefusalReason): void {
    this.flight?.abort(reason);
  }
}
