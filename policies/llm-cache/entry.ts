import { isObject, type JsonObject } from '../shared/json.ts';
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
  /** The body, decoded, byte for byte. Nobody writes into it. */
  readonly body: Uint8Array;
}

// Layout: "LLMC", version (1 byte), length of the head (4 bytes, big endian), head (JSON), body.
const magic = [0x4c, 0x4c, 0x4d, 0x43] as const;
const version = 2;
const prefixBytes = 9;

/** One run of bytes that any store can keep. The body is copied once. */
export function encodeEntry(entry: CachedResponse): Uint8Array {
  const { body, ...rest } = entry;
  const head = new TextEncoder().encode(JSON.stringify(rest));
  const bytes = new Uint8Array(prefixBytes + head.length + body.length);
  bytes.set(magic);
  bytes[4] = version;
  new DataView(bytes.buffer).setUint32(5, head.length);
  bytes.set(head, prefixBytes);
  bytes.set(body, prefixBytes + head.length);
  return bytes;
}

/** What is known of an entry without its body. */
export type EntryHead = Omit<CachedResponse, 'body'>;

/** The entry in `bytes`, its body a view of them; undefined where they are of another version or damaged. */
export function decodeEntry(bytes: Uint8Array): CachedResponse | undefined {
  const decoded = decodeHead(bytes);
  if (decoded === undefined) return undefined;
  const { headers, usage, fingerprint } = decoded.head;
  // A store may give the same one to many.
  for (const part of [headers, usage, usage?.details, fingerprint]) Object.freeze(part);
  return Object.freeze({ ...decoded.head, body: bytes.subarray(decoded.bodyStart) });
}

/** The head alone, of which all bytes must be there; `bodyStart` is where the body begins. */
export function decodeHead(
  bytes: Uint8Array,
): { readonly head: EntryHead; readonly bodyStart: number } | undefined {
  if (bytes.length < prefixBytes || bytes[4] !== version) return undefined;
  if (magic.some((byte, index) => bytes[index] !== byte)) return undefined;
  const bodyStart = prefixBytes + new DataView(bytes.buffer, bytes.byteOffset).getUint32(5);
  if (bodyStart > bytes.length) return undefined;
  try {
    const head: unknown = JSON.parse(
      new TextDecoder().decode(bytes.subarray(prefixBytes, bodyStart)),
    );
    return isObject(head) && isHead(head) ? { head, bodyStart } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value has all that an entry has. */
export function isEntry(value: unknown): value is CachedResponse {
  if (!isObject(value) || !(value['body'] instanceof Uint8Array)) return false;
  return headChecks.every(([name, isRight]) => isRight(value[name]));
}

const isText = (value: unknown) => typeof value === 'string';
const isTexts = (value: unknown) => isObject(value) && Object.values(value).every(isText);
const isTextOrNull = (value: unknown) => value === null || isText(value);
const isCount = (value: unknown) => Number.isFinite(value);
const isCountOrNull = (value: unknown) => value === null || isCount(value);

/** What each member of a head may be; damage shows here at the latest. */
const headMembers: Readonly<Record<keyof EntryHead, (value: unknown) => boolean>> = {
  namespace: isText,
  protocol: isText,
  model: isTextOrNull,
  requestedModel: isTextOrNull,
  consumer: isTextOrNull,
  stream: (value) => typeof value === 'boolean',
  responseId: isTextOrNull,
  usage: (value) => value === null || isUsage(value),
  fingerprint: isTexts,
  headers: isTexts,
  storedAt: isCount,
  freshUntil: isCount,
  expiresAt: isCount,
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
