import type { ServerResponse } from 'node:http';
import process from 'node:process';
import type { BodySink } from '../../shared/bytes/body-sink.ts';
import { Gathering } from '../../shared/bytes/gathering.ts';
import type { ResponseObserver } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { decoding } from './decode.ts';
import type { Below } from './response-functions.ts';
import { HeadLayer } from './response-layer.ts';
import type { CallWatcher, Cut, UpstreamCall } from './upstream-call.ts';

/** A policy that also controls the call whose answer it sees. */
export interface CallOwner {
  /** Called before the head is written, and after the observer has seen it. */
  beforeHead(): void;
  /** Whether other requests read along, so that the upstream keeps its pace for a slow client. */
  keepsPace(): boolean;
  /** Returns whether the call continues without its client. Called when the client has left. */
  outlivesClient(): boolean;
}

export interface TapOptions {
  readonly res: ServerResponse;
  readonly call: UpstreamCall;
  readonly observer: ResponseObserver;
  readonly faults: FaultLog;
  readonly owner?: CallOwner;
}

/**
 * Lets `observer` see the response as it is at this place of the pipeline: after later policies have
 * changed it, and before earlier policies do. The client's bytes never wait for the observer. Returns
 * the response below the tap.
 */
export function tap(options: TapOptions): Below {
  return new Tap(options).below;
}

class Tap extends HeadLayer implements CallWatcher {
  readonly #call: UpstreamCall;
  readonly #faults: FaultLog;
  #observer: ResponseObserver | null;
  #owner: CallOwner | null;
  /** Where the body goes. The head decides how it is decoded. */
  #body: BodySink | null;
  #headSeen = false;
  #ending = false;
  #hasEnded = false;
  #isOver = false;

  constructor(options: TapOptions) {
    const { res, call, observer } = options;
    super(res);
    this.#call = call;
    this.#faults = options.faults;
    this.#observer = observer;
    this.#owner = options.owner ?? null;
    this.#body = observer;
    call.watch(this);
  }

  outlivesClient(): boolean {
    return this.#owner?.outlivesClient() ?? false;
  }

  cut(reason: Cut): void {
    this.#finish(this.#hasEnded ? null : reason);
  }

  release(): void {
    if (this.#hasEnded) this.#finish(null);
    this.#isOver = true;
    this.#observer = null;
    this.#owner = null;
    this.#body = null;
  }

  override write(args: unknown[]): boolean {
    return this.#afterWrite(args, super.write(args));
  }

  override end(args: unknown[]): void {
    // In some runtimes `end` calls `write` with the last chunk, which must not be seen twice.
    this.#ending = true;
    super.end(args);
    this.#afterEnd(args);
  }

  protected override beforeHead(): void {
    const observer = this.#observer;
    if (!this.#isOver && observer !== null) {
      try {
        const { res } = this;
        this.#headSeen = true;
        const header = (name: string) => headerText(res, name);
        observer.head(res.statusCode, header);
        const decoded = decoding(header('content-encoding') ?? '', observer);
        this.#body = new Gathering(decoded, (step) => this.#safely(step));
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#owner?.beforeHead();
  }

  #afterWrite(args: readonly unknown[], more: unknown): boolean {
    this.#call.keepAlive();
    if (!this.#ending) this.#feed(args[0], args[1]);
    // Wrappers of other policies may return undefined. Only `false` asks to wait for `drain`.
    return more !== false || (this.#owner?.keepsPace() ?? false);
  }

  #afterEnd(args: readonly unknown[]): void {
    this.#call.complete();
    this.#feed(args[0], args[1]);
    this.#hasEnded = true;
    // The other answers of this turn go out before this one is read.
    process.nextTick(() => this.#finish(null));
  }

  #feed(chunk: unknown, encoding: unknown): void {
    if (this.#isOver) return;
    const { res } = this;
    try {
      // After the client has left, Node writes no head by itself, but the observer needs one.
      if (!this.#headSeen && res.destroyed && !res.headersSent) res.writeHead(res.statusCode);
      if (typeof chunk === 'string') {
        const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
        this.#body?.chunk(Buffer.from(chunk, text));
      } else if (chunk instanceof Uint8Array) {
        // A chunk of an upstream's message is never reused. Another writer may reuse its buffer.
        this.#body?.chunk(this.#call.message === null ? new Uint8Array(chunk) : chunk);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #finish(cut: Cut | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    try {
      if (cut === null) this.#body?.end();
      else this.#body?.abort(cut);
    } catch (error) {
      this.#failed(error);
    }
  }

  #safely(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#isOver = true;
    this.#faults.report('llm-cache: an answer could not be read', error);
  }
}

/** A header that is set on a response, as one text; undefined if it is not set. */
export function headerText(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return Array.isArray(value) ? value.join(', ') : value?.toString();
}
