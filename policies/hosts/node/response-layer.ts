import { type OutgoingHttpHeader, ServerResponse } from 'node:http';

/** A response as it is behind a layer; each function takes the arguments of the response's own. */
export interface Below {
  writeHead(args: unknown[]): void;
  write(args: unknown[]): boolean;
  end(args: unknown[]): void;
}

type Functions = Pick<ServerResponse, 'writeHead' | 'write' | 'end'>;

/** The uppermost layers, each but the first with another policy's functions below it. */
const layersOf = Symbol('llm-cache layers');

interface Layered extends ServerResponse {
  [layersOf]?: ResponseLayer[];
}

/**
 * Stands around a response's functions: behind what later policies make of the response, before
 * what earlier ones do. The functions that it puts there are the same for all responses: one of a
 * response's own would be kept with the response's hidden class, which grows old, and with it all
 * that the function holds.
 */
export abstract class ResponseLayer implements Below {
  readonly below: Below;
  protected readonly res: ServerResponse;

  constructor(res: Layered) {
    this.res = res;
    const layers = (res[layersOf] ??= []);
    const last = layers.length - 1;
    const upper = layers[last];
    if (upper !== undefined && isUppermost(functionsAt(last), res)) {
      this.below = upper;
      layers[last] = this;
      return;
    }
    this.below = new Others(res);
    const functions = functionsAt(layers.push(this) - 1);
    res.writeHead = functions.writeHead;
    res.write = functions.write;
    res.end = functions.end;
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

/** What Node, or another policy, does with a response. */
class Others implements Below {
  readonly #res: ServerResponse;
  readonly #functions: Functions;

  /** Whether that is Node alone. */
  readonly isNode: boolean;

  constructor(res: ServerResponse) {
    const { writeHead, write, end } = res;
    this.isNode = isUppermost(ServerResponse.prototype, res);
    this.#res = res;
    this.#functions = { writeHead, write, end };
  }

  writeHead(args: unknown[]): void {
    Reflect.apply(this.#functions.writeHead, this.#res, args);
  }

  write(args: unknown[]): boolean {
    // Wrappers of other policies may return nothing: only `false` asks to wait.
    return Reflect.apply(this.#functions.write, this.#res, args) !== false;
  }

  end(args: unknown[]): void {
    Reflect.apply(this.#functions.end, this.#res, args);
  }
}

/** Whether nothing but layers stands around the functions of Node: what is written is read by no other policy. */
export function isPlain(res: Layered): boolean {
  const layers = res[layersOf] ?? [];
  if (layers.length === 0) return isUppermost(ServerResponse.prototype, res);
  if (layers.length > 1 || !isUppermost(functionsAt(0), res)) return false;
  let below: Below | undefined = layers[0];
  while (below instanceof ResponseLayer) below = below.below;
  return below instanceof Others && below.isNode;
}

function isUppermost({ writeHead, write, end }: Functions, res: ServerResponse): boolean {
  return res.writeHead === writeHead && res.write === write && res.end === end;
}

/** A layer that may change the head of a response before it is written. */
export abstract class HeadLayer extends ResponseLayer {
  #isSeen = false;

  /** The head is about to be written; all of it is in the response's own headers and status. */
  protected abstract headPasses(): void;

  override writeHead(args: unknown[]): void {
    if (this.#isSeen) return super.writeHead(args);
    this.#isSeen = true;
    const { res } = this;
    const [status, message] = args;
    takeHead(res, args);
    this.headPasses();
    const isSame = res.statusCode === status;
    super.writeHead(isSame && typeof message === 'string' ? [status, message] : [res.statusCode]);
  }
}

/** Puts what `writeHead` was called with into the response's own status and headers. */
export function takeHead(res: ServerResponse, args: readonly unknown[]): void {
  const [status] = args;
  if (typeof status === 'number') res.statusCode = status;
  setHeaders(res, args.at(-1));
}

/** Sets the headers that `writeHead` was called with: an object, a list of pairs, or names and values by turns. */
function setHeaders(res: ServerResponse, headers: unknown): void {
  if (typeof headers !== 'object' || headers === null) return;
  if (!Array.isArray(headers)) return setPairs(res, Object.entries(headers));
  if (Array.isArray(headers[0])) return setPairs(res, headers as Pair[]);
  const pairs = inPairs(headers);
  // A name may come several times here.
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

const functions: Functions[] = [];

/** Those of the layer that was put around a response as the `depth`-th, whatever response that is. */
function functionsAt(depth: number): Functions {
  return (functions[depth] ??= {
    writeHead: function (this: Layered, ...args: unknown[]) {
      this[layersOf]?.[depth]?.writeHead(args);
      return this;
    },
    write: function (this: Layered, ...args: unknown[]) {
      return this[layersOf]?.[depth]?.write(args) ?? true;
    },
    end: function (this: Layered, ...args: unknown[]) {
      this[layersOf]?.[depth]?.end(args);
      return this;
    },
  });
}
