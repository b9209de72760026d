const zero = 0x30;
const nine = 0x39;
const minus = 0x2d;
const point = 0x2e;
const e = 0x65;

/** A double can add this exponent and a count of digits without rounding. */
const maxExponent = 1e15;

/**
 * Writes the JSON number in `bytes` to `out` in the one form of its decimal value: sign, digits
 * without zeros at either end, and an exponent if it is not 0. Returns the new end of `out`; -1 if
 * the exponent is beyond ±1e15.
 */
export function decimalForm(
  bytes: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  at: number,
): number {
  const isNegative = bytes[from] === minus;
  let digitsEnd = isNegative ? from + 1 : from;
  let fraction = 0;
  let pointAt = to;
  // Scans the digits and the point.
  for (; digitsEnd < to; digitsEnd++) {
    const byte = bytes[digitsEnd] as number;
    if (byte === point) pointAt = digitsEnd;
    else if (byte < zero || byte > nine) break;
    else if (pointAt < to) fraction++;
  }
  let end = at;
  if (isNegative) out[end++] = minus;
  const start = end;
  for (let index = isNegative ? from + 1 : from; index < digitsEnd; index++) {
    const byte = bytes[index] as number;
    if (byte === point || (byte === zero && end === start)) continue;
    out[end++] = byte;
  }
  if (end === start) {
    out[at] = zero;
    return at + 1;
  }
  const whole = end;
  while (out[end - 1] === zero) end--;
  const exponent = exponentIn(bytes, digitsEnd, to);
  if (Math.abs(exponent) > maxExponent) return -1;
  const power = exponent - fraction + whole - end;
  if (power === 0) return end;
  out[end++] = e;
  for (const digit of String(power)) out[end++] = digit.charCodeAt(0);
  return end;
}

/** Returns the exponent that begins with its `e` at `from`; 0 if there is none. */
function exponentIn(bytes: Uint8Array, from: number, to: number): number {
  if (from === to) return 0;
  const sign = bytes[from + 1];
  let value = 0;
  for (let at = from + 1; at < to; at++) {
    const byte = bytes[at] as number;
    // Beyond the bound it is rejected anyway, and must not become Infinity.
    if (byte >= zero && value <= maxExponent) value = value * 10 + (byte - zero);
  }
  return sign === minus ? -value : value;
}
