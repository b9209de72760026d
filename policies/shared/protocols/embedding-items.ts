import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { JsonScan } from '../json/json-scan.ts';
import type { OnMember } from '../json/member-list.ts';
import type { InputList, ItemAnswer, ItemRules } from './protocol.ts';

/** More inputs than any provider accepts in one request. */
const maxInputs = 4096;
/** Each input gets a body with a copy of all other members; this bounds all copies together. */
const maxCopiedBytes = 2 * 1024 * 1024;

/** The rules for embeddings: each input has one answer, independent of the others. */
export const embeddingItems: ItemRules = { readInputs, readItems, joinItems };

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** Returns null unless `input` is a list, not too long, of texts or of lists of tokens. */
function readInputs(body: Uint8Array): InputList | null {
  const place = placeOf(body);
  if (place === null) return null;
  const list = parsed(body.subarray(place.from, place.to));
  if (!Array.isArray(list) || list.length === 0 || list.length > maxInputs) return null;
  const otherBytes = body.length - (place.to - place.from);
  if (list.length * otherBytes > maxCopiedBytes) return null;
  if (!list.every((one) => typeof one === 'string' || isTokens(one))) return null;
  const texts = list.map((one: unknown) => JSON.stringify(one));
  const withInput = (value: string) => spliced(body, place, encoder.encode(value));
  return {
    weights: list.map((one: string | readonly unknown[]) => Math.max(1, one.length)),
    one: (at) => withInput(texts[at] ?? 'null'),
    some: (indexes) => withInput(`[${indexes.map((at) => texts[at]).join()}]`),
  };
}

function isTokens(input: unknown): input is readonly number[] {
  return (
    // Rounding to doubles could make two different inputs equal.
    Array.isArray(input) && input.length > 0 && input.every((token) => Number.isSafeInteger(token))
  );
}

interface Place {
  readonly from: number;
  readonly to: number;
}

/** Returns where the value of `input` is in the body. */
function placeOf(body: Uint8Array): Place | null {
  let place: Place | null = null;
  const onMember: OnMember = (name, from, to) => {
    if (name === 'input') place = { from, to };
  };
  const scan = new JsonScan(body, null, { onMember });
  scan.step(Infinity);
  return scan.content.members === null ? null : place;
}

function spliced(body: Uint8Array, { from, to }: Place, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(from + value.length + body.length - to);
  bytes.set(body.subarray(0, from));
  bytes.set(value, from);
  bytes.set(body.subarray(to), from + value.length);
  return bytes;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return null;
  }
}

/** Returns null unless the answer has one vector per input, all of one encoding and length. */
function readItems(body: Uint8Array, count: number): ItemAnswer | null {
  const json = parsed(body);
  if (!isObject(json) || !Array.isArray(json['data'])) return null;
  const data = (json['data'] as readonly unknown[]).filter(isObject);
  const items = inOrder(data);
  if (items === null || items.length !== count || data.length !== json['data'].length) return null;
  const [shape] = items.map(shapeOf);
  if (shape === null || items.some((item) => shapeOf(item) !== shape)) return null;
  const { data: _data, usage: _usage, ...rest } = json;
  // Not `String(model)`: the model may be an object whose `toString` is not a function.
  return { rest, items, shape: `${nameOrNull(json['model']) ?? ''} ${shape}` };
}

/** Sorts items by their indexes, if they have any; null if an index is missing. */
function inOrder(data: readonly JsonObject[]): readonly JsonObject[] | null {
  if (data.every(({ index }) => index === undefined || index === null)) return data;
  const byIndex = new Map(data.map((item) => [item['index'], item]));
  const items = data.map((_, at) => byIndex.get(at)).filter((item) => item !== undefined);
  return items.length === data.length ? items : null;
}

/** Returns the encoding and length of a vector; null if it is not one. */
function shapeOf({ embedding }: JsonObject): string | null {
  if (typeof embedding === 'string' && embedding !== '') return `base64 ${embedding.length}`;
  return Array.isArray(embedding) && embedding.length > 0 ? `floats ${embedding.length}` : null;
}

/** Returns one answer of the items, numbered in order; `saved` of its `total` tokens were not billed. */
function joinItems(
  { rest, items }: ItemAnswer,
  usage: { readonly total: number; readonly saved: number } | null,
): Uint8Array {
  const data = items.map((item, index) => ({ ...item, index }));
  const counts = usage && {
    prompt_tokens: usage.total,
    total_tokens: usage.total,
    ...(usage.saved > 0 && { prompt_tokens_details: { cached_tokens: usage.saved } }),
  };
  return encoder.encode(
    JSON.stringify({ ...rest, data, ...(counts === null ? {} : { usage: counts }) }),
  );
}
