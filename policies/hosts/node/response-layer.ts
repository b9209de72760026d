import type { OutgoingHttpHeader, ServerResponse } from 'node:http';
import { type Below, wrapFunctions } from './response-functions.ts';
import { waitingLayers } from './waiting-layers.ts';

/**
 * A layer around a response's functions. It sees writes after later policies have changed them, and
 * before earlier policies do.
 */
export abstract class ResponseLayer implements Below {
  readonly below: Below;
  protected readonly res: ServerResponse;

  constructor(res: ServerResponse) {
    this.res = res;
    this.below = waitingLayers(res)?.add(this) ?? wrapFunctions(res, this);
  }

  writeHead(args: unknown[]): void {
    this.below.writeHead(args);
  }

  write(args: unknown[]): boolean {
    return this.below.write(args);
  }

  end(args: unknown[]): void {
    this.below.end(args);
  }
}

/** A layer that may change the head of a response before it is written. */
export abstract class HeadLayer extends ResponseLayer {
  #isSeen = false;

  /** Called once, before the head is written. The response's own status and headers hold all of it. */
  protected abstract beforeHead(): void;

  override writeHead(args: unknown[]): void {
    if (this.#isSeen) return super.writeHead(args);
    this.#isSeen = true;
    const { res } = this;
    const [status, message] = args;
    takeHead(res, args);
    this.beforeHead();
    const isSame = res.statusCode === status;
    super.writeHead(isSame && typeof message === 'string' ? [status, message] : [res.statusCode]);
  }
}

/** Sets the response's own status and headers from the arguments of `writeHead`. */
export function takeHead(res: ServerResponse, args: readonly unknown[]): void {
  const [status] = args;
  if (typeof status === 'number') res.statusCode = status;
  setHeaders(res, args.at(-1));
}

/** Sets headers from an object, a list of pairs, or a flat list of names and values. */
function setHeaders(res: ServerResponse, headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return;
  if (!Array.isArray(headers)) return setPairs(res, Object.entries(headers));
  if (Array.isArray(headers[0])) return setPairs(res, headers as Pair[]);
  const pairs = inPairs(headers);
  // A flat list may contain a name several times.
  for (const [name] of pairs) res.removeHeader(name);
  for (const [name, value] of pairs) res.appendHeader(name, value);
}

type Pair = readonly [name: string, value: OutgoingHttpHeader];

function setPairs(res: ServerResponse, pairs: readonly Pair[]): void {
  for (const [name, value] of pairs) if (name) res.setHeader(name, value);
}

function inPairs(list: readonly unknown[]): [name: string, value: string | string[]][] {
  const pairs: [string, string | string[]][] = [];
  for (let at = 0; at + 1 < list.length; at += 2) {
    pairs.push([String(list[at]), list[at + 1] as string | string[]]);
  }
  return pairs;
}
