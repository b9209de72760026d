import type { AnswerFacts } from '../shared/answer.ts';
import { isKept } from '../shared/answer-headers.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';
import { protocolNames } from '../shared/protocols/index.ts';
import type { ProtocolName } from '../shared/protocols/protocol.ts';
import type { Usage } from '../shared/usage.ts';
import type { Fingerprint } from './fingerprint.ts';

/** The provider's answer, with what usage records and the operator's pages need. */
export interface CachedResponse {
  readonly namespace: string;
  readonly protocol: ProtocolName;
  /** The model that the answer names, and the one that the request asked for. */
  readonly model: string | null;
  readonly requestedModel: string | null;
  /** The consumer whose request stored it; null without one. */
  readonly consumer: string | null;
  readonly stream: boolean;
  /** The provider's response id. */
  readonly responseId: string | null;
  readonly usage: Usage | null;
  /** The fingerprint of the request that it answers. */
  readonly fingerprint: Fingerprint;
  /** Response headers to replay, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly freshUntil: number;
  /** When a store deletes it: later than `freshUntil`, to tell an expired entry from a missing one. */
  readonly expiresAt: number;
  /** The decoded body, byte for byte. Must not be modified. */
  readonly body: Uint8Array;
  /** The coding of `body` if a store was asked for a compressed one. */
  readonly coding?: 'gzip';
}

/** Returns what a usage record takes from a stored answer. */
export function factsOf({ responseId: id, model, usage }: CachedResponse): AnswerFacts {
  return { id, model, usage, fault: null, cut: null };
}

/** An entry without its body. */
export type EntryHead = Omit<CachedResponse, 'body' | 'coding'>;

// Layout in memory: coding of the body (1 byte; 0 is identity), head length (4 bytes, big endian), head, body.
const identityCoding = 0;
const prefixBytes = 5;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Encodes an entry as one array of bytes for a store in this process. Copies the body once. */
export function encodeEntry(entry: CachedResponse): Uint8Array {
  const head = encodeHead(entry);
  const bytes = new Uint8Array(prefixBytes + head.length + entry.body.length);
  bytes[0] = identityCoding;
  new DataView(bytes.buffer).setUint32(1, head.length);
  bytes.set(head, prefixBytes);
  bytes.set(entry.body, prefixBytes + head.length);
  return bytes;
}

/** Decodes an entry; its body is a view of `bytes`. Undefined if they do not hold an entry. */
export function decodeEntry(bytes: Uint8Array): CachedResponse | undefined {
  const decoded = decodeHead(bytes);
  return decoded && entryOf(decoded.head, bytes.subarray(decoded.bodyStart));
}

/** Decodes the head; `bytes` must contain all of it. `bodyStart` is the offset of the body. */
export function decodeHead(
  bytes: Uint8Array,
): { readonly head: EntryHead; readonly bodyStart: number } | undefined {
  if (bytes.length < prefixBytes || bytes[0] !== identityCoding) return undefined;
  const bodyStart = prefixBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (bodyStart > bytes.length) return undefined;
  const head = parseHead(bytes.subarray(prefixBytes, bodyStart));
  return head && { head, bodyStart };
}

/** Encodes the head as JSON. */
export function encodeHead(entry: CachedResponse): Uint8Array {
  const { body: _body, ...head } = entry;
  return encoder.encode(JSON.stringify(head));
}

/** Decodes what `encodeHead` returned; undefined for anything else. */
export function parseHead(bytes: Uint8Array): EntryHead | undefined {
  try {
    const head: unknown = JSON.parse(decoder.decode(bytes));
    return isObject(head) && isHead(head) ? head : undefined;
  } catch {
    return undefined;
  }
}

/** Builds an entry. It is frozen, as a store may return the same object to many requests. */
export function entryOf(head: EntryHead, body: Uint8Array, coding?: 'gzip'): CachedResponse {
  const { headers, usage, fingerprint } = head;
  for (const part of [headers, usage, usage?.details, fingerprint]) Object.freeze(part);
  return Object.freeze({ ...head, body, ...(coding && { coding }) });
}

/** Returns whether a value is a complete entry with an uncompressed body. */
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
/** The range of a `Date`. */
const isTime = isUpTo(8.64e15);

/** Checks for each member of a head, as other programs may write to a store. */
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
