import type { JsonObject } from '../json/json.ts';
import { carriesError, isError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** The reading of an answer without results. */
const emptyReading: Reading = {
  id: null,
  model: null,
  usage: null,
  fault: 'incomplete',
  finishReasons: [],
  refused: false,
  parts: 0,
  expiresAt: null,
};

/** The reader for an API without streams: every stream is incomplete. */
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
    return emptyReading;
  }
}

/** The defaults of an API whose answers are a list of results, never a stream. */
export const resultsAtOnce = {
  isStream: () => false,
  isStateful: () => false,
  setsLimit: () => false,
  complete: [],
  limited: [],
  cacheApart: false,
  streamReader: () => new NoStream(),
} satisfies Partial<Protocol>;

/** Reads such an answer by its results. `areSound` says whether every result is valid. */
export function readResults(
  json: JsonObject,
  results: readonly unknown[],
  areSound: boolean,
): Reading {
  const hasError = carriesError(json) || results.some(isError);
  const isWhole = results.length > 0 && areSound;
  const fault = hasError ? 'error-in-body' : isWhole ? null : 'incomplete';
  return { ...emptyReading, fault, parts: results.length };
}
