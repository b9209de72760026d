import type { JsonObject } from '../json/json.ts';
import { carriesError, isError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** What is read of an answer that is none. */
const nothingRead: Reading = {
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
class NoStream implements StreamReader {
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

/** What an API has in common with others that give a list of results at once, and nothing else. */
export const resultsAtOnce = {
  isStream: () => false,
  isStateful: () => false,
  setsLimit: () => false,
  complete: [],
  limited: [],
  cacheApart: false,
  streamReader: () => new NoStream(),
} satisfies Partial<Protocol>;

/** What such an answer says of itself by its results; `areSound` where each of them is what it should be. */
export function readResults(
  json: JsonObject,
  results: readonly unknown[],
  areSound: boolean,
): Reading {
  const fails = carriesError(json) || results.some(isError);
  const isWhole = results.length > 0 && areSound;
  const fault = fails ? 'error-in-body' : isWhole ? null : 'incomplete';
  return { ...nothingRead, fault, parts: results.length };
}
