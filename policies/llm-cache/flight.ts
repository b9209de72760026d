import type { AnswerReader } from '../shared/answer-reader.ts';
import type { ResponseObserver } from '../shared/exchange.ts';
import { formatOf } from '../shared/format.ts';
import type { RefusalReason } from '../shared/reasons.ts';
import type { CachedResponse } from './entry.ts';
import type { Fingerprint } from './fingerprint.ts';
import { Follower } from './follower.ts';
import type { CallOutcome, Lease } from './stores/relay.ts';

/** What becomes of a request that waits for an identical one. */
export type JoinResult =
  /** The answer is whole, and may be shared. */
  | { readonly kind: 'entry'; readonly entry: CachedResponse }
  /** The answer is a stream, and its first bytes are here. */
  | { readonly kind: 'stream'; readonly follower: Follower }
  /** The answer may not be shared, or there is none. */
  | { readonly kind: 'failed' }
  /** Nothing came for too long. */
  | { readonly kind: 'waited' }
  /** The client that waited has left. */
  | { readonly kind: 'left' };

export interface FlightOptions {
  /** By `performance.now()`. */
  readonly startedAt: number;
  /** Who makes the call, by its id; null without one. */
  readonly consumer: string | null;
  /** What tells its request from others. */
  readonly fingerprint: () => Promise<Fingerprint>;
  readonly reader: AnswerReader;
  /** 1 for a first call, 2 for the one that follows when that fails. */
  readonly attempt: number;
  /** The most bytes that one slow reader may be behind; see `mayBeBehind`. */
  readonly maxBytes: number;
  /** Run on without readers, so that the answer is stored. */
  readonly finishAlone: boolean;
}

/** The call to the upstream that a flight's leader makes. */
export interface LeaderCall {
  /** Others read along from now on: the answer keeps the upstream's pace. */
  resume(): void;
  /** The leader has left, and no other reads the answer. */
  abandon(): void;
}

/** More than comes in one go, so that no reader is too slow before there was time to read. */
const minBehind = 128 * 1024;

/** The most bytes that a reader of a shared stream may be behind. */
export function mayBeBehind(maxResponseBytes: number): number {
  return Math.max(maxResponseBytes, minBehind);
}

/**
 * One call to the upstream and all who read its answer: the leader, whose request makes the call,
 * and those who joined. What has come so far is kept for who joins late, the rest is passed on live.
 */
export class Flight implements ResponseObserver {
  readonly attempt: number;
  readonly startedAt: number;
  readonly consumer: string | null;
  /** Reads the answer, for the store and for the books. */
  readonly reader: AnswerReader;
  readonly #options: FlightOptions;
  #fingerprint: Promise<Fingerprint> | null = null;
  readonly #waiting = new Set<(result: JoinResult) => void>();
  readonly #followers = new Set<Follower>();
  #headSeen = false;
  #isStream = false;
  #flowing = false;
  #over = false;
  #result: JoinResult | null = null;
  #leaderLeft = false;
  #call: LeaderCall | null = null;
  /** Where other gateways share the call. */
  #lease: Lease | null = null;

  constructor(options: FlightOptions) {
    this.attempt = options.attempt;
    this.startedAt = options.startedAt;
    this.consumer = options.consumer;
    this.#options = options;
    this.reader = options.reader;
  }

  /** What tells its request from others, made when it is first asked for. */
  fingerprint(): Promise<Fingerprint> {
    return (this.#fingerprint ??= this.#options.fingerprint());
  }

  /** Says who makes the call. */
  leadBy(call: LeaderCall): void {
    this.#call = call;
  }

  /** Tells other gateways of the answer. */
  shareBy(lease: Lease): void {
    this.#lease = lease;
  }

  /** How many read beside the leader, or wait to. */
  get joiners(): number {
    return this.#waiting.size + this.#followers.size;
  }

  get hasCompany(): boolean {
    return this.joiners > 0;
  }

  /** Whether who comes now can still have all of it. */
  get isOpen(): boolean {
    if (this.#result !== null) return this.#result.kind === 'entry';
    return !this.#flowing || (!this.#over && this.reader.isSound);
  }

  get isDone(): boolean {
    return this.reader.isDone;
  }

  head(status: number, header: (name: string) => string | undefined): void {
    this.reader.head(status, header);
    this.#headSeen = true;
    this.#isStream = status === 200 && formatOf(this.reader.headers['content-type']) === 'sse';
    // What may not be stored is not shared.
    if (status !== 200) this.#settle({ kind: 'failed' });
    else if (this.#isStream) this.#lease?.head(this.reader.headers);
  }

  chunk(bytes: Uint8Array): void {
    this.reader.chunk(bytes);
    // What cannot be shared goes to those alone who read already.
    if (!this.reader.isSound && (!this.#isStream || !this.#flowing)) {
      this.#settle({ kind: 'failed' });
    }
    if (this.#isStream) {
      this.#lease?.chunk(bytes);
      if (!this.#flowing) this.#flow();
      for (const follower of this.#followers) follower.push();
      // There is no room for what the slow ones hold.
      if (this.reader.isOverdrawn) {
        for (const follower of this.#followers) follower.breakIfBehind();
      }
    }
    this.#deserted();
  }

  end(): void {
    this.reader.end();
    this.#finish((follower) => follower.end());
  }

  abort(reason: RefusalReason): void {
    this.reader.abort(reason);
    this.#finish((follower) => follower.break());
    this.#settle({ kind: 'failed' });
  }

  /**
   * What was made of the answer: an entry that may be shared, or none; `outcome` is for other
   * gateways. Resolves when they have been told.
   */
  async settle(entry: CachedResponse | null, outcome?: CallOutcome): Promise<void> {
    this.#settle(entry === null ? { kind: 'failed' } : { kind: 'entry', entry });
    if (outcome !== undefined) await this.#lease?.end(outcome);
  }

  /** Waits for something to share, `waitMs` at most, or until `left` is aborted. */
  join(waitMs: number, left: AbortSignal): Promise<JoinResult> {
    if (this.#result !== null) return Promise.resolve(this.#result);
    if (left.aborted) return Promise.resolve({ kind: 'left' });
    const wasAlone = !this.hasCompany;
    const result = this.#flowing ? Promise.resolve(this.#follow()) : this.#wait(waitMs, left);
    if (wasAlone) this.#call?.resume();
    return result;
  }

  /** The leader's client has left; true when the call is to go on without it. */
  leaderLeft(): boolean {
    this.#leaderLeft = true;
    return this.hasCompany || this.#isWorthFinishing;
  }

  /** The first bytes are about to be passed on: those who wait get them with everybody else. */
  #flow(): void {
    this.#flowing = true;
    for (const take of this.#waiting) take(this.#follow());
  }

  #wait(waitMs: number, left: AbortSignal): Promise<JoinResult> {
    return new Promise((resolve) => {
      const take = (result: JoinResult) => {
        clearTimeout(timer);
        left.removeEventListener('abort', leave);
        this.#waiting.delete(take);
        resolve(result);
        if (result.kind === 'waited' || result.kind === 'left') this.#deserted();
      };
      const leave = () => take({ kind: 'left' });
      const timer = setTimeout(() => take({ kind: 'waited' }), waitMs);
      this.#waiting.add(take);
      left.addEventListener('abort', leave);
      if (left.aborted) leave();
    });
  }

  #follow(): JoinResult {
    const follower = new Follower(this.reader.follow(), this.#options.maxBytes, () => {
      this.#followers.delete(follower);
      this.#deserted();
    });
    this.#followers.add(follower);
    return { kind: 'stream', follower };
  }

  #finish(last: (follower: Follower) => void): void {
    this.#over = true;
    for (const follower of this.#followers) last(follower);
    this.#followers.clear();
  }

  #settle(result: JoinResult): void {
    if (this.#result !== null) return;
    this.#result = result;
    for (const take of this.#waiting) take(result);
    this.#deserted();
  }

  /** Ends a call whose leader has left when no other reads it, and nothing will come of it. */
  #deserted(): void {
    if (this.#over || !this.#leaderLeft || this.hasCompany || this.#isWorthFinishing) return;
    this.#call?.abandon();
  }

  get #isWorthFinishing(): boolean {
    if (!this.#options.finishAlone) return false;
    return this.#result?.kind !== 'failed' && (!this.#headSeen || this.reader.isSound);
  }
}
