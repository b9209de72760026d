import { isObject, type JsonObject, nameOrNull } from '../json.ts';
import { readUsage } from '../usage.ts';
import { carriesError } from './error.ts';
import type { Protocol, Reading, StreamReader } from './protocol.ts';

/** Embeddings: https://platform.openai.com/docs/api-reference/embeddings */
export const embeddings: Protocol = {
  name: 'embeddings',
  provider: 'openai',
  matches: (path) => path.endsWith('/embeddings'),
  isStream: () => false,
  isStateful: () => false,
  setsLimit: () => false,
  complete: [],
  limited: [],
  cacheApart: false,
  readAnswer,
  streamReader: () => new NoStream(),
};

function readAnswer(json: JsonObject): Reading {
  const { data } = json;
  const whole = Array.isArray(data) && data.length > 0 && data.every(hasEmbedding);
  return {
    id: nameOrNull(json['id']),
    model: nameOrNull(json['model']),
    usage: readUsage(json['usage']),
    fault: carriesError(json) ? 'error-in-body' : whole ? null : 'incomplete',
    finishReasons: [],
    refused: false,
  };
}

/** Numbers, or their bytes in base64. */
function hasEmbedding(item: unknown): boolean {
  if (!isObject(item)) return false;
  const { embedding } = item;
  return (Array.isArray(embedding) || typeof embedding === 'string') && embedding.length > 0;
}

/** Embeddings have no stream: none is ever whole. */
class NoStream implements StreamReader {
  readonly ended = false;

  event(): boolean {
    return true;
  }

  done(): boolean {
    return true;
  }

  reading(): Reading {
    return {
      id: null,
      model: null,
      usage: null,
      fault: 'incomplete',
      finishReasons: [],
      refused: false,
    };
  }
}
