import { ServerResponse } from 'node:http';

/** A response as seen from the layer above. Each function takes the original's arguments. */
export interface Below {
  writeHead(args: unknown[]): void;
  write(args: unknown[]): boolean;
  end(args: unknown[]): void;
  /** What is below, if this is a layer. */
  readonly below?: Below;
}

type Functions = Pick<ServerResponse, 'writeHead' | 'write' | 'end'>;

/** The top layers. Another policy's wrapper stands between each and the one before it. */
const layersOf = Symbol('llm-cache layers');

interface Layered extends ServerResponse {
  [layersOf]?: Below[];
}

/**
 * Wraps a response's functions with a layer, and returns what is below it. All responses share the
 * same wrapping functions: the hidden class of a response, which may live long, would keep a function
 * of the response's own alive, with everything that the function refers to.
 */
export function wrapFunctions(res: Layered, layer: Below): Below {
  const layers = (res[layersOf] ??= []);
  const last = layers.length - 1;
  const upper = layers[last];
  if (upper !== undefined && sameFunctions(res, functionsAt(last))) {
    layers[last] = layer;
    return upper;
  }
  const below = new ResponseFunctions(res);
  const functions = functionsAt(layers.push(layer) - 1);
  res.writeHead = functions.writeHead;
  res.write = functions.write;
  res.end = functions.end;
  return below;
}

/** Whether the response's functions are Node's own. */
export function isUnwrapped(res: ServerResponse): boolean {
  return sameFunctions(res, ServerResponse.prototype);
}

/** Whether only layers wrap Node's own functions, so that no other policy reads what is written. */
export function hasOnlyLayers(res: Layered): boolean {
  const layers = res[layersOf];
  if (layers === undefined) return isUnwrapped(res);
  if (layers.length > 1 || !sameFunctions(res, functionsAt(0))) return false;
  let below = layers[0];
  while (below?.below !== undefined) below = below.below;
  return below instanceof ResponseFunctions && below.isNode;
}

/** A response's functions at this moment: Node's own, or those of the policy that wrapped them last. */
export class ResponseFunctions implements Below {
  readonly #res: ServerResponse;
  readonly #functions: Functions;

  constructor(res: ServerResponse) {
    const { writeHead, write, end } = res;
    this.#res = res;
    this.#functions = { writeHead, write, end };
  }

  get isNode(): boolean {
    return sameFunctions(this.#functions, ServerResponse.prototype);
  }

  writeHead(args: unknown[]): void {
    Reflect.apply(this.#functions.writeHead, this.#res, args);
  }

  write(args: unknown[]): boolean {
    // Wrappers of other policies may return undefined. Only `false` asks to wait for `drain`.
    return Reflect.apply(this.#functions.write, this.#res, args) !== false;
  }

  end(args: unknown[]): void {
    Reflect.apply(this.#functions.end, this.#res, args);
  }
}

function sameFunctions(one: Functions, { writeHead, write, end }: Functions): boolean {
  return one.writeHead === writeHead && one.write === write && one.end === end;
}

const functions: Functions[] = [];

/** The functions that call the layer at index `depth` of `layersOf`, for any response. */
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
