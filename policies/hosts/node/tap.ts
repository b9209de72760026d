import type { ServerResponse } from 'node:http';
import type { BodySink } from '../../shared/bytes/body-sink.ts';
import { Gathering } from '../../shared/bytes/gathering.ts';
import type { ResponseObserver } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { decoding } from './decode.ts';
import type { Below } from './response-functions.ts';
import { HeadLayer } from './response-layer.ts';
import type { CallWatcher, Cut, UpstreamCall } from './upstream-call.ts';

/** A policy that wants more of a call than to see its answer. */
export interface CallOwner {
  /** The head is about to be written, and the observer has seen it. */
  headPasses(): void;
  /** Whether the upstream keeps its pace though the client does not take it: others read along. */
  keepsPace(): boolean;
  /** Whether the call goes on without its client. */
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
 * Lets `observer` see the response as it stands at this place of the pipeline: behind what later
 * policies make of it, before what earlier ones do. The client's bytes never wait for it.
 */
export function tap(options: TapOptions): Below {
  return new Tap(options).below;
}

class Tap extends HeadLayer implements CallWatcher {
  readonly #call: UpstreamCall;
  readonly #faults: FaultLog;
  #observer: ResponseObserver | null;
  #owner: CallOwner | null;
  /** Takes the body: decoded and gathered, once the head has told how. */
  #body: BodySink | null;
  #headSeen = false;
  #ending = false;
  #over = false;

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
    this.#finish(reason);
  }

  letGo(): void {
    this.#over = true;
    this.#observer = null;
    this.#owner = null;
    this.#body = null;
  }

  override write(args: unknown[]): boolean {
    return this.#written(args, super.write(args));
  }

  override end(args: unknown[]): void {
    // Some runtimes write the last chunk through `write`: it must not be seen twice.
    this.#ending = true;
    super.end(args);
    this.#ended(args);
  }

  protected override headPasses(): void {
    const observer = this.#observer;
    if (!this.#over && observer !== null) {
      try {
        const { res } = this;
        this.#headSeen = true;
        const header = (name: string) => headerText(res, name);
        observer.head(res.statusCode, header);
        const decoded = decoding(header('content-encoding') ?? '', observer);
        this.#body = new Gathering(decoded, (step) => this.#guarded(step));
      } catch (error) {
        this.#failed(error);
      }
    }
    this.#owner?.headPasses();
  }

  #written(args: readonly unknown[], more: unknown): boolean {
    this.#call.keepAlive();
    if (!this.#ending) this.#feed(args[0], args[1]);
    // Wrappers of other policies may return nothing: only `false` asks to wait.
    return more !== false || (this.#owner?.keepsPace() ?? false);
  }

  #ended(args: readonly unknown[]): void {
    this.#call.complete();
    this.#feed(args[0], args[1]);
    this.#finish(null);
  }

  #feed(chunk: unknown, encoding: unknown): void {
    if (this.#over) return;
    const { res } = this;
    try {
      // A client that has left gets no head, and so does not make one.
      if (!this.#headSeen && res.destroyed && !res.headersSent) res.writeHead(res.statusCode);
      if (typeof chunk === 'string') {
        const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
        this.#body?.chunk(Buffer.from(chunk, text));
      } else if (chunk instanceof Uint8Array) {
        // Of an upstream's message this is the only copy; who has made others may use them again.
        this.#body?.chunk(this.#call.message === null ? new Uint8Array(chunk) : chunk);
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #finish(cut: Cut | null): void {
    if (this.#over) return;
    this.#over = true;
    try {
      if (cut === null) this.#body?.end();
      else this.#body?.abort(cut);
    } catch (error) {
      this.#failed(error);
    }
  }

  #guarded(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#over = true;
    this.#faults.report('llm-cache: an answer could not be read', error);
  }
}

export function headerText(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return Array.isArray(value) ? value.join(', ') : value?.toString();
}
