import type { ServerResponse } from 'node:http';
import { type Below, ResponseFunctions, wrapFunctions } from './response-functions.ts';

/** Holds no response that is over. */
const waiting = new WeakMap<ServerResponse, WaitingLayers>();

/** The waiting layers of a response; undefined if it has none, or if they are installed. */
export function waitingLayers(res: ServerResponse): WaitingLayers | undefined {
  return waiting.get(res);
}

/**
 * The layers of a response whose functions are still Node's own. What the carrier writes passes
 * through the layers all the same. With Express, each response has its own hidden class, so that
 * every added property costs some microseconds.
 */
export class WaitingLayers {
  readonly #res: ServerResponse;
  #top: Below;
  #isWaiting = true;
  /** Lets the carrier write what it holds back. */
  readonly flush: () => void;

  constructor(res: ServerResponse, whenOver: (then: () => void) => void, flush: () => void) {
    this.#res = res;
    this.flush = flush;
    this.#top = new ResponseFunctions(res);
    waiting.set(res, this);
    // An old WeakMap keeps the value of a young key alive as long as the key.
    whenOver(() => waiting.delete(res));
  }

  /** Where writes enter the response: its top layer, or the wrapper that was put around that later. */
  get top(): Below {
    return this.#top;
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Adds a layer on top of the others, and returns what is below it. */
  add(layer: Below): Below {
    const below = this.#top;
    this.#top = layer;
    return below;
  }

  /** Wraps the response's functions with the layers: from now on, not only the carrier may write. */
  install(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    waiting.delete(this.#res);
    wrapFunctions(this.#res, this.#top);
    this.#top = new ResponseFunctions(this.#res);
    this.flush();
  }
}
