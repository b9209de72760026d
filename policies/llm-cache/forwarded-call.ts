import type { RefusalReason } from '../shared/reasons.ts';
import { appendCacheStatus, cacheStatus } from './cache-status.ts';
import { type Forward, outcomeOf } from './decision.ts';
import type { Delivery } from './delivery.ts';
import { factsOf } from './entry.ts';
import type { Flight } from './flight.ts';
import type { WholeAnswer } from './items/partial-call.ts';
import { digestHeaders } from './header-names.ts';
import { forwardedMark, type Reply, staleReply, unreadableReply } from './replies.ts';
import { isFailing } from './response-rules.ts';
import type { OutcomeName } from './stats.ts';

/** Headers of an upstream cache, which a client would take for ours. */
export const otherCachesHeaders = ['X-Cache', 'Age'] as const;

/** Headers that describe the upstream's own bytes, and so are wrong on a merged answer. */
export const headersOfItsBytes: readonly string[] = [
  'content-encoding',
  'transfer-encoding',
  'trailer',
  'etag',
  ...digestHeaders,
];

const unreadableFaults: ReadonlySet<RefusalReason | null> = new Set<RefusalReason>([
  'too-large',
  'buffer-limit',
  'encoding',
]);

/** A request that the cache forwards to the upstream, and the cache's part in the answer. */
export class ForwardedCall {
  /** Observes the answer; null if the cache ignores it. */
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
    // The flight reads the answer for the usage record as well.
    delivery.exchange.answer = flight.reader;
    const { part } = decision;
    if (part !== null) {
      flight.reader.whenRead((answer) => {
        this.#whole = part.whole(answer);
        this.#isUnreadable = answer.status === 200 && unreadableFaults.has(answer.fault);
        delivery.exchange.saved = this.#whole?.saved ?? null;
      });
    }
    if (fallback === null) return;
    flight.reader.whenRead(() => delivery.tally.count(this.#outcome, reason));
  }

  /** The body that replaces the client's; null if the client's body is forwarded. */
  get asked(): Uint8Array | null {
    return this.#decision.part?.body ?? null;
  }

  /**
   * The merged answer to the whole request, once the upstream's answer to a part has been read. Null
   * if the upstream's answer is the one to deliver.
   */
  get whole(): Uint8Array | null {
    return this.#whole?.body ?? null;
  }

  /**
   * The error to deliver if the upstream's answer to a part could not be read: the client would take
   * that answer for the whole.
   */
  get unreadable(): Reply | null {
    return this.#isUnreadable ? unreadableReply(this.#delivery.exchange.request.protocol) : null;
  }

  /** Whether an expired entry may answer if the upstream fails. */
  get hasStandIn(): boolean {
    return this.#decision.fallback !== null;
  }

  /** Returns whether an expired entry replaces an upstream's answer with that status. */
  replaces(status: number): boolean {
    return this.hasStandIn && isFailing(status);
  }

  /**
   * Returns the headers that report what the cache did. The host sets them in place of
   * `otherCachesHeaders` when it sends the head of the upstream's answer. `upstreams` is the
   * upstream's own `Cache-Status`. Null if an expired entry answers.
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

  /**
   * Returns the expired entry as the answer. `status` is that of the failed upstream; null if it sent
   * none. Throws if there is no such entry.
   */
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

  /** Notes that the call has failed or ended early. */
  abort(reason: RefusalReason): void {
    this.flight?.abort(reason);
  }
}
