import type { CachedResponse } from '../../entry.ts';
import type { Form } from './form.ts';
import { isDigest, Reader, Writer } from './packing.ts';

/** Packs what is not in an entry's form, followed by its body, into one buffer. */
export function packEntry(entry: CachedResponse): Uint8Array<ArrayBuffer> {
  const { storedAt, freshUntil, expiresAt, responseId, usage, fingerprint, body } = entry;
  const writer = new Writer();
  writer.number(freshUntil);
  writeTime(writer, storedAt, freshUntil);
  writeTime(writer, expiresAt, freshUntil);
  writer.text(responseId);
  if (usage !== null) {
    writer.number(usage.inputTokens);
    writer.number(usage.outputTokens);
    writer.number(usage.totalTokens);
    for (const count of Object.values(usage.details)) writer.number(count);
  }
  for (const value of Object.values(fingerprint)) if (isDigest(value)) writer.digest(value);
  return writer.end(body);
}

/** Unpacks an entry, whose body is a view of the bytes. It is frozen, because several requests may share it. */
export function unpackEntry(
  bytes: Uint8Array,
  form: Form,
  consumer: string | null,
): CachedResponse {
  const { namespace, protocol, model, requestedModel, stream, headers } = form;
  const reader = new Reader(bytes);
  const freshUntil = reader.number() ?? 0;
  const storedAt = readTime(reader, freshUntil);
  const expiresAt = readTime(reader, freshUntil);
  const responseId = reader.text();
  const usage = usageIn(reader, form);
  // Object.fromEntries defines own properties even for a name such as `__proto__`.
  const fingerprint = Object.fromEntries(
    form.parts.map(([name, value]) => [name, value ?? reader.digest()]),
  );
  return Object.freeze({
    namespace,
    protocol,
    model,
    requestedModel,
    consumer,
    stream,
    responseId,
    usage,
    fingerprint: Object.freeze(fingerprint),
    headers,
    storedAt,
    freshUntil,
    expiresAt,
    body: reader.rest(),
  });
}

/** Reads until when a packed entry is fresh, without unpacking the rest. */
export function freshUntilIn(bytes: Uint8Array): number {
  return new Reader(bytes).number() ?? 0;
}

/** Reads when a packed entry was stored, without unpacking the rest. */
export function storedAtIn(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  return readTime(reader, reader.number() ?? 0);
}

/** Returns a copy of a packed entry whose body, of `bodyLength` bytes, is replaced by another. */
export function withBody(
  bytes: Uint8Array,
  bodyLength: number,
  body: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const headLength = bytes.length - bodyLength;
  const packed = new Uint8Array(headLength + body.length);
  packed.set(bytes.subarray(0, headLength));
  packed.set(body, headLength);
  return packed;
}

/** Writes a time as its distance from another, which takes three bytes instead of seven. */
function writeTime(writer: Writer, time: number, from: number): void {
  const distance = Math.abs(time - from);
  const isBefore = time < from;
  // Times that no clock shows (fractions, huge values) are written whole, so that they stay exact.
  const isExact =
    Number.isInteger(distance) &&
    distance < 2 ** 50 &&
    (isBefore ? from - distance : from + distance) === time;
  writer.number(isExact ? 2 * distance + (isBefore ? 1 : 0) : null);
  if (!isExact) writer.number(time);
}

function readTime(reader: Reader, from: number): number {
  const distance = reader.number();
  if (distance === null) return reader.number() ?? 0;
  return distance % 2 === 1 ? from - (distance - 1) / 2 : from + distance / 2;
}

function usageIn(reader: Reader, { usage }: Form): CachedResponse['usage'] {
  if (usage === null) return null;
  const inputTokens = reader.number();
  const outputTokens = reader.number();
  const totalTokens = reader.number();
  const details = Object.fromEntries(usage.details.map((name) => [name, reader.number() ?? 0]));
  Object.freeze(details);
  const { terms } = usage;
  return Object.freeze({
    inputTokens,
    outputTokens,
    totalTokens,
    details,
    ...(terms !== null && { terms }),
  });
}
