import type { ServerResponse } from 'node:http';
import onHeaders from 'on-headers';
import type { ResponseObserver } from '../exchange.ts';
import type { FaultLog } from '../faults.ts';
import { decoding } from './decode.ts';
import type { Lifeline } from './lifeline.ts';

/**
 * Lets `observer` see the response as it stands at this place of the pipeline: behind what later
 * policies make of it, before what earlier ones do. The client's bytes never wait for it.
 */
export function tap(
  res: ServerResponse,
  lifeline: Lifeline,
  observer: ResponseObserver,
  faults: FaultLog,
): void {
  let body: Pick<ResponseObserver, 'chunk' | 'end' | 'abort'> = observer;
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
    if (typeof chunk === 'string') {
      body.chunk(
        Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'),
      );
    } else if (chunk instanceof Uint8Array) {
      body.chunk(chunk);
    }
  };

  onHeaders(res, () =>
    guarded(() => {
      const header = (name: string) => headerText(res, name);
      observer.head(res.statusCode, header);
      body = decoding(header('content-encoding') ?? '', observer);
    }),
  );

  const write = res.write;
  const end = res.end;
  res.write = function (this: ServerResponse, ...args: unknown[]) {
    const more = Reflect.apply(write, this, args) as boolean;
    if (!ending) guarded(() => feed(args[0], args[1]));
    return more;
  } as typeof res.write;
  res.end = function (this: ServerResponse, ...args: unknown[]) {
    // Some runtimes write the last chunk through `write`: it must not be seen twice.
    ending = true;
    const result = Reflect.apply(end, this, args) as ServerResponse;
    guarded(() => {
      feed(args[0], args[1]);
      finish(lifeline.upstream?.complete === false ? 'aborted' : null);
    });
    return result;
  } as typeof res.end;
  res.once('close', () => guarded(() => finish(lifeline.broke ? 'aborted' : 'client-left')));

  function finish(broken: 'aborted' | 'client-left' | null): void {
    if (over) return;
    over = true;
    if (broken === null) body.end();
    else body.abort(broken);
  }
}

export function headerText(res: ServerResponse, name: string): string | undefined {
  const value = res.getHeader(name);
  return Array.isArray(value) ? value.join(', ') : value?.toString();
}
