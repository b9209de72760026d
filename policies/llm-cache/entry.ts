import type { AnswerFacts } from '../shared/answer.ts';
import { isKept } from '../shared/answer-headers.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';
import { protocolNames } from '../shared/protocols/index.ts';
import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { Usage } from '../shared/usage.ts';
import type { Fingerprint } from './fingerprint.ts';

/** An answer as the provider gave it, with what the books and the operator need to know of it. */
export interface CachedResponse {
  readonly namespace: string;
  readonly protocol: ProtocolName;
  /** The model that the answer names, and the one that the request asked for. */
  readonly model: string | null;
  readonly requestedModel: string | null;
  /** The consumer that it was stored for; null without one. */
  readonly consumer: string | null;
  readonly stream: boolean;
  /** The provider's response id. */
  readonly responseId: string | null;
  readonly usage: Usage | null;
  /** Of the request that it answers. */
  readonly fingerprint: Fingerprint;
  /** Response headers to replay, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly freshUntil: number;
  /** When a store lets go of it: some time after it has expired, so that an expired answer is told from none. */
  readonly expiresAt: number;
  /** The body, decoded, byte for byte. Not to be written into. */
  readonly body: Uint8Array;
  /** The body is compressed after all, as a store was asked for it. */
  readonly coding?: 'gzip';
}

/** What the books take from a stored answer. */
export function factsOf({ responseId: id, model, usage }: CachedResponse): AnswerFacts {
  return { id, model, usage, fault: null, cut: null };
}

/** What is known of an entry without its body. */
export type EntryHead = Omit<CachedResponse, 'body' | 'coding'>;

// In memory: coding of the body (1 byte; 0: as it is), length of the head (4 bytes, big endian), head, body.
const asItIs = 0;
const prefixBytes = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** One run of bytes that a store can keep in its process's memory. The body is copied once. */
export function encodeEntry(entry: CachedResponse): Uint8Array {
  const head = encodeHead(entry);
  const bytes = new Uint8Array(prefixBytes + head.length + entry.body.length);
  bytes[0] = asItIs;
  new DataView(bytes.buffer).setUint32(1, head.length);
  bytes.set(head, prefixBytes);
  bytes.set(entry.body, prefixBytes + head.length);
  return bytes;
}

/** The entry in `bytes`, its body a view of them; undefined where there is none. */
export function decodeEntry(bytes: Uint8Array): CachedResponse | undefined {
  const decoded = decodeHead(bytes);
  return decoded && entryOf(decoded.head, bytes.subarray(decoded.bodyStart));
}

/** The head alone, of which all bytes must be there; `bodyStart` is where the body begins. */
export function decodeHead(
  bytes: Uint8Array,
): { readonly head: EntryHead; readonly bodyStart: number } | undefined {
  if (bytes.length < prefixBytes || bytes[0] !== asItIs) return undefined;
  const bodyStart = prefixBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (bodyStart > bytes.length) return undefined;
  const head = parseHead(bytes.subarray(prefixBytes, bodyStart));
  return head && { head, bodyStart };
}

/** The head as JSON. */
export function encodeHead(entry: CachedResponse): Uint8Array {
  const { body: _body, ...head } = entry;
  return encoder.encode(JSON.stringify(head));
}

/** What `encodeHead` has made; undefined for anything else. */
export function parseHead(bytes: Uint8Array): EntryHead | undefined {
  try {
    const head: unknown = JSON.parse(decoder.decode(bytes));
    return isObject(head) && isHead(head) ? head : undefined;
  } catch {
    return undefined;
  }
}

/** The entry of a head and a body; frozen, for a store may give the same one to many. */
export function entryOf(head: EntryHead, body: Uint8Array, coding?: 'gzip'): CachedResponse {
  const { headers, usage, fingerprint } = head;
  for (const part of [headers, usage, usage?.details, fingerprint]) Object.freeze(part);
  return Object.freeze({ ...head, body, ...(coding && { coding }) });
}

/** Whether a value has all that an entry has. */
export function isEntry(value: unknown): value is CachedResponse {
  if (!isObject(value) || !(value['body'] instanceof Uint8Array)) return false;
  if (value['coding'] !== undefined) return false;
  return headChecks.every(([name, isRight]) => isRight(value[name]));
}

const isText = (value: unknown) => typeof value === 'string';
const isTexts = (value: unknown) => isObject(value) && Object.values(value).every(isText);
const isTextOrNull = (value: unknown) => value === null || isText(value);
const isUpTo = (most: number) => (value: unknown) =>
  typeof value === 'number' && value >= 0 && value <= most;
const isCount = isUpTo(Number.MAX_SAFE_INTEGER);
const isCountOrNull = (value: unknown) => value === null || isCount(value);
/** What a Date can be. */
const isTime = isUpTo(8.64e15);

/** What each member of a head may be: a store may be read, and written, by others. */
const headMembers: Readonly<Record<keyof EntryHead, (value: unknown) => boolean>> = {
  namespace: isText,
  protocol: (value) => protocolNames.some((name) => name === value),
  model: isTextOrNull,
  requestedModel: isTextOrNull,
  consumer: isTextOrNull,
  stream: (value) => typeof value === 'boolean',
  responseId: isTextOrNull,
  usage: (value) => value === null || isUsage(value),
  fingerprint: isTexts,
  headers: (value) => isObject(value) && isKept(value),
  storedAt: isTime,
  freshUntil: isTime,
  expiresAt: isTime,
};
const headChecks = Object.entries(headMembers);

function isHead(head: JsonObject): head is JsonObject & EntryHead {
  return (
    Object.keys(head).length === headChecks.length &&
    headChecks.every(([name, isRight]) => isRight(head[name]))
  );
}

function isUsage(value: unknown): value is Usage {
  return (
    isObject(value) &&
    isCountOrNull(value['inputTokens']) &&
    isCountOrNull(value['outputTokens']) &&
    isCountOrNull(value['totalTokens']) &&
    (value['terms'] === undefined ||
      (Array.isArray(value['terms']) && value['terms'].every(isText))) &&
    isObject(value['details']) &&
    Object.values(value['details']).every(isCount)
  );
}
