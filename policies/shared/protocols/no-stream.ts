import type { Reading, StreamReader } from './protocol.ts';

/** What is read of an answer that is none. */
export const nothingRead: Reading = {
  id: null,
  model: null,
  usage: null,
  fault: 'incomplete',
  finishReasons: [],
  refused: false,
  parts: 0,
  expiresAt: null,
};

/** The reader of an API that has no streams: none is ever whole. */
export class NoStream implements StreamReader {
  readonly ended = false;
  readonly fault = 'incomplete';

  event(): boolean {
    return true;
  }

  done(): boolean {
    return true;
  }

  reading(): Reading {
    return nothingRead;
  }
}
