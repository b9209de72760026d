import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import type { ResponseObserver } from '../../shared/exchange.ts';
import type { FaultLog } from '../../shared/faults.ts';
import { Gathering } from '../../shared/bytes/gathering.ts';
import { decoding } from './decode.ts';
import type { UpstreamCall } from './upstream-call.ts';

/** How a response may be written past everything that later policies make of it. */
export interface InnerResponse {
  readonly write: ServerResponse['write'];
  readonly end: ServerResponse['end'];
}

export interface TapOptions {
  readonly res: ServerResponse;
  readonly call: UpstreamCall;
  readonly observer: ResponseObserver;
  readonly faults: FaultLog;
  /** Whether the upstream keeps its pace though the client does not take it: others read along. */
  readonly keepsPace?: () => boolean;
  /** Called when the head is about to be written, behind the observer. */
  readonly headPasses?: () => void;
}

/**
 * Lets `observer` see the response as it stands at this place of the pipeline: behind what later
 * policies make of it, before what earlier ones do. The client's bytes never wait for it.
 */
export function tap(options: TapOptions): InnerResponse {
  const { res, call, observer, faults, keepsPace = () => false, headPasses } = options;
  let body: Pick<ResponseObserver, 'chunk' | 'end' | 'abort'> = observer;
  let headSeen = false;
  let over = false;
  let ending = false;

  const guarded = (step: () => void) => {
    try {
      step();
    } catch (error) {
      over = true;
      faults.report('llm-cache: an answer could not be read', error);
    }
  };
  const feed = (chunk: unknown, encoding: unknown) => {
    if (over) return;
    // A client that has left gets no head, and so does not make one.
    if (!headSeen && res.destroyed && !res.headersSent) res.writeHead(res.statusCode);
    if (typeof chunk === 'string') {
      const text = typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8';
      body.chunk(Buffer.from(chunk, text));
    } else if (chunk instanceof Uint8Array) {
      // Of an upstream's message nobody else has the bytes; who has made others may use them again.
      body.chunk(call.message === null ? new Uint8Array(chunk) : chunk);
    }
  };
  const finish = (cut: 'aborted' | 'client-left' | null) => {
    if (over) return;
    over = true;
    if (cut === null) body.end();
    else body.abort(cut);
  };

  onHeaders(res, () => {
    guarded(() => {
      if (over) return;
      headSeen = true;
      const header = (name: string) => headerText(res, name);
      observer.head(res.statusCode, header);
      body = new Gathering(decoding(header('content-encoding') ?? '', observer), guarded);
    });
    headPasses?.();
  });

  const inner: InnerResponse = { write: res.write, end: res.end };
  res.write = function (this: ServerResponse, ...args: unknown[]) {
    const more: unknown = Reflect.apply(inner.write, this, args);
    call.stir();
    if (!ending) guarded(() => feed(args[0], args[1]));
    // Wrappers of other policies may return nothing: only `false` asks to wait.
    return more !== false || keepsPace();
  } as typeof res.write;
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    // Some runtimes write the last chunk through `write`: it must not be seen twice.
    ending = true;
    const result = Reflect.apply(inner.end, this, args) as ServerResponse;
    call.settle();
    guarded(() => {
      feed(args[0], args[1]);
      finish(null);
    });
    return result;
  } as typeof res.end;
  call.onCut.push((reason) => guarded(() => finish(reason)));
  return inner;
}

export function headerText(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return Array.isArray(value) ? value.join(', ') : value?.toString();
}
