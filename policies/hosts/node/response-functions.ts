import { ServerResponse } from 'node:http';

/** A response as it is behind a layer; each function takes the arguments of the response's own. */
export interface Below {
  writeHead(args: unknown[]): void;
  write(args: unknown[]): boolean;
  end(args: unknown[]): void;
  /** Of a layer, what is behind it. */
  readonly below?: Below;
}

type Functions = Pick<ServerResponse, 'writeHead' | 'write' | 'end'>;

/** The uppermost layers, each but the first with another policy's functions below it. */
const layersOf = Symbol('llm-cache layers');

interface Layered extends ServerResponse {
  [layersOf]?: Below[];
}

/**
 * Puts a layer around a response's functions, and returns what is below it. The functions that come
 * there are the same for all responses: one of a response's own would be kept with the response's
 * hidden class, which grows old, and with it all that the function holds.
 */
export function putAround(res: Layered, layer: Below): Below {
  const layers = (res[layersOf] ??= []);
  const last = layers.length - 1;
  const upper = layers[last];
  if (upper !== undefined && areThose(res, functionsAt(last))) {
    layers[last] = layer;
    return upper;
  }
  const below = new FunctionsOf(res);
  const functions = functionsAt(layers.push(layer) - 1);
  res.writeHead = functions.writeHead;
  res.write = functions.write;
  res.end = functions.end;
  return below;
}

/** Whether Node's own functions write the response. */
export function isBare(res: ServerResponse): boolean {
  return areThose(res, ServerResponse.prototype);
}

/** Whether nothing but layers stands around Node's own functions: no other policy reads what is written. */
export function isPlain(res: Layered): boolean {
  const layers = res[layersOf];
  if (layers === undefined) return isBare(res);
  if (layers.length > 1 || !areThose(res, functionsAt(0))) return false;
  let below = layers[0];
  while (below?.below !== undefined) below = below.below;
  return below instanceof FunctionsOf && below.isNode;
}

/** A response's functions as they are now: those of Node, or of the policy that wrapped them last. */
export class FunctionsOf implements Below {
  readonly #res: ServerResponse;
  readonly #functions: Functions;

  constructor(res: ServerResponse) {
    const { writeHead, write, end } = res;
    this.#res = res;
    this.#functions = { writeHead, write, end };
  }

  get isNode(): boolean {
    return areThose(this.#functions, ServerResponse.prototype);
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

function areThose(one: Functions, { writeHead, write, end }: Functions): boolean {
  return one.writeHead === writeHead && one.write === write && one.end === end;
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
