import type { AnswerReader } from '../shared/answer-reader.ts';
import type { ResponseObserver } from '../shared/exchange.ts';
import { formatOf } from '../shared/format.ts';
import type { RefusalReason } from '../shared/reasons.ts';
import type { CachedResponse } from './entry.ts';
import type { Fingerprint } from './fingerprint.ts';
import { Follower } from './follower.ts';
import type { CallOutcome, Lease } from './stores/relay.ts';

/** The outcome for a request that joined an identical one. */
export type JoinResult =
  /** The answer is complete and may be shared. */
  | { readonly kind: 'entry'; readonly entry: CachedResponse }
  /** The answer is a stream, and its first bytes have arrived. */
  | { readonly kind: 'stream'; readonly follower: Follower }
  /** The call failed, or its answer may not be shared. */
  | { readonly kind: 'failed' }
  /** The wait timed out before anything could be shared. */
  | { readonly kind: 'waited' }
  /** The waiting client has left. */
  | { readonly kind: 'left' };

export interface FlightOptions {
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** The id of the consumer whose request makes the call; null without one. */
  readonly consumer: string | null;
  /** Computes the fingerprint of the request. */
  readonly fingerprint: () => Promise<Fingerprint>;
  readonly reader: AnswerReader;
  /** 1 for the first call, 2 for the retry after a failed one. */
  readonly attempt: number;
  /** The most bytes that a slow reader may lag behind; see `mayBeBehind`. */
  readonly maxBytes: number;
  /** Finish the call after all clients have left, so that the answer is stored. */
  readonly finishAlone: boolean;
}

/** The call to the upstream that a flight's leader makes. */
export interface LeaderCall {
  /** Joiners read along from now on, so the answer must flow at the upstream's pace. */
  resume(): void;
  /** The leader has left, and no joiner reads the answer. */
  abandon(): void;
}

/** More than one read delivers, so that no reader counts as slow before it had a chance to read. */
const minLag = 128 * 1024;

/** Returns the most bytes that a reader of a shared stream may lag behind. */
export function mayBeBehind(maxResponseBytes: number): number {
  return Math.max(maxResponseBytes, minLag);
}

/**
 * One call to the upstream and all readers of its answer: the leader, whose request makes the call,
 * and the joiners. The flight retains the bytes that have arrived, for late joiners, and passes on
 * the rest live.
 */
export class Flight implements ResponseObserver {
  readonly attempt: number;
  readonly startedAt: number;
  readonly consumer: string | null;
  /** Reads the answer for the store and for the usage record. */
  readonly reader: AnswerReader;
  readonly #options: FlightOptions;
  #fingerprint: Promise<Fingerprint> | null = null;
  readonly #waiting = new Set<(result: JoinResult) => void>();
  readonly #followers = new Set<Follower>();
  #headSeen = false;
  #isStream = false;
  #hasStarted = false;
  #hasEnded = false;
  #joinResult: JoinResult | null = null;
  #leaderLeft = false;
  #call: LeaderCall | null = null;
  /** Null unless other gateways share the call. */
  #lease: Lease | null = null;

  constructor(options: FlightOptions) {
    this.attempt = options.attempt;
    this.startedAt = options.startedAt;
    this.consumer = options.consumer;
    this.#options = options;
    this.reader = options.reader;
  }

  /** Returns the fingerprint of the request, computed on first use. */
  fingerprint(): Promise<Fingerprint> {
    return (this.#fingerprint ??= this.#options.fingerprint());
  }

  /** Sets the call to resume or abandon. */
  leadBy(call: LeaderCall): void {
    this.#call = call;
  }

  /** Publishes the answer to other gateways through `lease`. */
  shareBy(lease: Lease): void {
    this.#lease = lease;
  }

  /** The number of requests that read along with the leader, or wait to. */
  get joiners(): number {
    return this.#waiting.size + this.#followers.size;
  }

  get hasCompany(): boolean {
    return this.joiners > 0;
  }

  /** Whether a new joiner can still get the complete answer. */
  get isOpen(): boolean {
    if (this.#joinResult !== null) return this.#joinResult.kind === 'entry';
    return !this.#hasStarted || (!this.#hasEnded && this.reader.isSound);
  }

  get isDone(): boolean {
    return this.reader.isDone;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    this.reader.head(status, header);
    this.#headSeen = true;
    this.#isStream = status === 200 && formatOf(this.reader.headers['content-type']) === 'sse';
    // An answer that may not be stored may not be shared.
    if (status !== 200) this.#resolveJoins({ kind: 'failed' });
    else if (this.#isStream) this.#lease?.head(this.reader.headers);
  }

  chunk(bytes: Uint8Array): void {
    this.reader.chunk(bytes);
    // Followers that are already reading get the rest; waiters get a failure.
    if (!this.reader.isSound && (!this.#isStream || !this.#hasStarted)) {
      this.#resolveJoins({ kind: 'failed' });
    }
    if (this.#isStream) {
      this.#lease?.chunk(bytes);
      if (!this.#hasStarted) this.#startFollowers();
      for (const follower of this.#followers) follower.push();
      // The byte budget has no room for the bytes that slow followers hold back.
      if (this.reader.isOverdrawn) {
        for (const follower of this.#followers) follower.breakIfBehind();
      }
    }
    this.#abandonIfUnread();
  }

  end(): void {
    this.reader.end();
    this.#finish((follower) => follower.end());
  }

  abort(reason: RefusalReason): void {
    this.reader.abort(reason);
    this.#finish((follower) => follower.break());
    this.#resolveJoins({ kind: 'failed' });
  }

  /**
   * Gives the waiters the entry, or a failure if the answer may not be shared, and publishes
   * `outcome` to other gateways. Resolves once it is published.
   */
  async settle(entry: CachedResponse | null, outcome?: CallOutcome): Promise<void> {
    this.#resolveJoins(entry === null ? { kind: 'failed' } : { kind: 'entry', entry });
    if (outcome !== undefined) await this.#lease?.end(outcome);
  }

  /** Waits for an answer to share, at most `waitMs`, or until `left` is aborted. */
  join(waitMs: number, left: AbortSignal): Promise<JoinResult> {
    if (this.#joinResult !== null) return Promise.resolve(this.#joinResult);
    if (left.aborted) return Promise.resolve({ kind: 'left' });
    const wasAlone = !this.hasCompany;
    const result = this.#hasStarted ? Promise.resolve(this.#follow()) : this.#wait(waitMs, left);
    if (wasAlone) this.#call?.resume();
    return result;
  }

  /** Notes that the leader's client has left. Returns whether the call should continue without it. */
  leaderLeft(): boolean {
    this.#leaderLeft = true;
    return this.hasCompany || this.#isWorthFinishing;
  }

  /** Turns the waiters into followers, before the first bytes are passed on. */
  #startFollowers(): void {
    this.#hasStarted = true;
    for (const resolve of this.#waiting) resolve(this.#follow());
  }

  #wait(waitMs: number, left: AbortSignal): Promise<JoinResult> {
    return new Promise((resolve) => {
      const finish = (result: JoinResult) => {
        clearTimeout(timer);
        left.removeEventListener('abort', leave);
        this.#waiting.delete(finish);
        resolve(result);
        if (result.kind === 'waited' || result.kind === 'left') this.#abandonIfUnread();
      };
      const leave = () => finish({ kind: 'left' });
      const timer = setTimeout(() => finish({ kind: 'waited' }), waitMs);
      this.#waiting.add(finish);
      left.addEventListener('abort', leave);
      if (left.aborted) leave();
    });
  }

  #follow(): JoinResult {
    const follower = new Follower(this.reader.follow(), this.#options.maxBytes, () => {
      this.#followers.delete(follower);
      this.#abandonIfUnread();
    });
    this.#followers.add(follower);
    return { kind: 'stream', follower };
  }

  #finish(finishFollower: (follower: Follower) => void): void {
    this.#hasEnded = true;
    for (const follower of this.#followers) finishFollower(follower);
    this.#followers.clear();
  }

  #resolveJoins(result: JoinResult): void {
    if (this.#joinResult !== null) return;
    this.#joinResult = result;
    for (const resolve of this.#waiting) resolve(result);
    this.#abandonIfUnread();
  }

  /** Abandons the call if its leader has left, no joiner reads it, and its answer will not be stored. */
  #abandonIfUnread(): void {
    if (this.#hasEnded || !this.#leaderLeft || this.hasCompany || this.#isWorthFinishing) return;
    this.#call?.abandon();
  }

  get #isWorthFinishing(): boolean {
    if (!this.#options.finishAlone) return false;
    return this.#joinResult?.kind !== 'failed' && (!this.#headSeen || this.reader.isSound);
  }
}
