import type { ServerResponse } from 'node:http';
import { type Below, FunctionsOf, putAround } from './response-functions.ts';

/** Of responses that are not over. */
const waiting = new WeakMap<ServerResponse, WaitingLayers>();

/** The layers of a response that wait, where they do. */
export function waitingLayers(res: ServerResponse): WaitingLayers | undefined {
  return waiting.get(res);
}

/**
 * The layers of a response whose functions are still Node's: what the proxy carries into it goes
 * through them all the same. Behind Express each response has a hidden class of its own, to which
 * every property that is added costs some microseconds.
 */
export class WaitingLayers {
  readonly #res: ServerResponse;
  #top: Below;
  #isWaiting = true;

  constructor(res: ServerResponse, whenOver: (then: () => void) => void) {
    this.#res = res;
    this.#top = new FunctionsOf(res);
    waiting.set(res, this);
    // What an old WeakMap holds by a young key is kept as long as that key.
    whenOver(() => waiting.delete(res));
  }

  /** The way into the response: its uppermost layer, or whatever stands around that by now. */
  get top(): Below {
    return this.#top;
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Puts a layer above the others, and returns what is below it. */
  add(layer: Below): Below {
    const below = this.#top;
    this.#top = layer;
    return below;
  }

  /** Puts them around the response's functions: others than the proxy's message may come by those. */
  putAround(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    waiting.delete(this.#res);
    putAround(this.#res, this.#top);
    this.#top = new FunctionsOf(this.#res);
  }
}
