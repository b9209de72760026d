import type { ServerResponse } from 'node:http';
import { ResponseLayer } from './response-layer.ts';
import { waitingLayers } from './waiting-layers.ts';

/** What judges the writes of a layer. */
export interface Overruling {
  /** Whether a write must be dropped. `text` is its chunk, if it has one. */
  overrules(status: number, text: unknown, isEnd: boolean): boolean;
  /** Handles what a write below has thrown. */
  handleThrown(error: unknown): void;
}

/** The layer through which a guard sees and suppresses writes. */
export class GuardLayer extends ResponseLayer {
  readonly #guard: Overruling;

  constructor(guard: Overruling, res: ServerResponse) {
    super(res);
    this.#guard = guard;
  }

  override writeHead(args: unknown[]): void {
    if (this.#guard.overrules(Number(args[0]), undefined, false)) return;
    // Without waiting layers, `write` and `end` catch what their head throws.
    if (waitingLayers(this.res) === undefined) return super.writeHead(args);
    try {
      super.writeHead(args);
    } catch (error) {
      this.#guard.handleThrown(error);
    }
  }

  override write(args: unknown[]): boolean {
    if (this.#guard.overrules(this.res.statusCode, args[0], false)) return swallow(args);
    try {
      return super.write(args);
    } catch (error) {
      this.#guard.handleThrown(error);
      return true;
    }
  }

  override end(args: unknown[]): void {
    if (this.#guard.overrules(this.res.statusCode, args[0], true)) {
      swallow(args);
      return;
    }
    try {
      super.end(args);
    } catch (error) {
      this.#guard.handleThrown(error);
    }
  }
}

/** Drops a write but calls its callback, and returns true as a write that needs no `drain` does. */
function swallow(args: readonly unknown[]): true {
  const then = args.at(-1);
  if (typeof then === 'function') process.nextTick(then);
  return true;
}
