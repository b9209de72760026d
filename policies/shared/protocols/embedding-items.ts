import { isObject, type JsonObject, nameOrNull } from '../json/json.ts';
import { JsonScan } from '../json/json-scan.ts';
import type { OnMember } from '../json/member-list.ts';
import type { InputList, ItemAnswer, ItemRules } from './protocol.ts';

/** More than any provider takes in one request. */
const maxInputs = 4096;
/** Every input has a body of its own, with all that the request says beside: of all of them together. */
const maxCopiedBytes = 2 * 1024 * 1024;

/** A request for embeddings has as many answers as inputs, each of them an answer of its own. */
export const embeddingItems: ItemRules = { readInputs, readItems, joinItems };

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** Null where `input` is no list of texts, or of lists of tokens (one alone is no list), or it is too long. */
function readInputs(body: Uint8Array): InputList | null {
  const place = placeOf(body);
  if (place === null) return null;
  const list = parsed(body.subarray(place.from, place.to));
  if (!Array.isArray(list) || list.length === 0 || list.length > maxInputs) return null;
  const beside = body.length - (place.to - place.from);
  if (list.length * beside > maxCopiedBytes) return null;
  if (!list.every((one) => typeof one === 'string' || isTokens(one))) return null;
  const texts = list.map((one: unknown) => JSON.stringify(one));
  const withInput = (value: string) => spliced(body, place, encoder.encode(value));
  return {
    weights: list.map((one: string | readonly unknown[]) => Math.max(1, one.length)),
    one: (at) => withInput(texts[at] ?? 'null'),
    some: (places) => withInput(`[${places.map((at) => texts[at]).join()}]`),
  };
}

function isTokens(input: unknown): input is readonly number[] {
  return (
    // Two that a double cannot tell apart are two inputs.
    Array.isArray(input) && input.length > 0 && input.every((token) => Number.isSafeInteger(token))
  );
}

interface Place {
  readonly from: number;
  readonly to: number;
}

/** Where the value of `input` stands. */
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

/** Null where it is no answer with one vector for each of `count` inputs, all of one kind and length. */
function readItems(body: Uint8Array, count: number): ItemAnswer | null {
  const json = parsed(body);
  if (!isObject(json) || !Array.isArray(json['data'])) return null;
  const data = (json['data'] as readonly unknown[]).filter(isObject);
  const items = inOrder(data);
  if (items === null || items.length !== count || data.length !== json['data'].length) return null;
  const [shape] = items.map(shapeOf);
  if (shape === null || items.some((item) => shapeOf(item) !== shape)) return null;
  const { data: _data, usage: _usage, ...rest } = json;
  // It may be anything: an object may have a `toString` that is no function.
  return { rest, items, shape: `${nameOrNull(json['model']) ?? ''} ${shape}` };
}

/** By their indexes, where they have some. */
function inOrder(data: readonly JsonObject[]): readonly JsonObject[] | null {
  if (data.every(({ index }) => index === undefined || index === null)) return data;
  const byIndex = new Map(data.map((item) => [item['index'], item]));
  const items = data.map((_, at) => byIndex.get(at)).filter((item) => item !== undefined);
  return items.length === data.length ? items : null;
}

/** What kind of vector it is, and how long; null where it is none. */
function shapeOf({ embedding }: JsonObject): string | null {
  if (typeof embedding === 'string' && embedding !== '') return `base64 ${embedding.length}`;
  return Array.isArray(embedding) && embedding.length > 0 ? `floats ${embedding.length}` : null;
}

/** One answer of items in that order, numbered; `saved` of its `total` tokens were not billed. */
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
