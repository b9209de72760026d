/**
 * Returns where the character ends that begins at `at` with a byte of 0x80 or more. Returns -1 if it
 * is not well-formed UTF-8 (The Unicode Standard, table 3-7): truncated, overlong, a surrogate, or
 * beyond U+10FFFF.
 */
export function characterEnd(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] as number;
  if (lead < 0xc2 || lead > 0xf4) return -1;
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + size > bytes.length) return -1;
  const second = bytes[at + 1] as number;
  const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  if (second < least || second > most) return -1;
  for (let index = at + 2; index < at + size; index++) {
    if (((bytes[index] as number) & 0xc0) !== 0x80) return -1;
  }
  return at + size;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Up to this many bytes a loop is faster than the decoder. */
const maxLoopBytes = 12;

/** Decodes bytes that are known to be well-formed. */
export function textOf(bytes: Uint8Array, from: number, to: number): string {
  if (to - from > maxLoopBytes) return decoder.decode(bytes.subarray(from, to));
  let text = '';
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    if (byte >= 0x80) return decoder.decode(bytes.subarray(from, to));
    text += String.fromCharCode(byte);
  }
  return text;
}
