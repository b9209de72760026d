/** A number of 15 bits. */
export function markOf(text: string | null): number {
  let hash = text === null ? 1 : 0;
  for (let at = 0; at < (text ?? '').length; at++) {
    hash = (hash * 31 + (text ?? '').charCodeAt(at)) & 0x3fffffff;
  }
  return hash & 0x7fff;
}

export function pairOf(high: number, low: number): number {
  return (high << 15) | low;
}

export const highOf = (pair: number) => pair >> 15;
export const lowOf = (pair: number) => pair & 0x7fff;
