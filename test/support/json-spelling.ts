import * as fc from 'fast-check';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const unit = fc.oneof(
  fc.integer({ min: 0x20, max: 0x7e }),
  fc.constantFrom(0x22, 0x5c, 0x2f, 0x0a, 0x00, 0x7f, 0x2028, 0xd83d, 0xde00, 0xfffd),
  fc.nat(0xffff),
);
const string = fc.array(unit, { maxLength: 12 }).map((units) => String.fromCharCode(...units));
const name = fc.oneof(
  string,
  fc.constantFrom('', '__proto__', 'constructor', 'toString', '1', 'a'),
);
const number = fc
  .oneof(fc.integer(), fc.maxSafeNat(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .map((value) => value + 0); // avoids -0, which JSON.stringify does not keep
/** Generates any JSON object. */
export const { object } = fc.letrec<{ object: { [name: string]: Json }; value: Json }>((tie) => ({
  object: fc
    .uniqueArray(fc.tuple(name, tie('value')), { selector: ([key]) => key, maxLength: 5 })
    .map((members) => Object.fromEntries(members)),
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    number,
    string,
    fc.array(tie('value'), { maxLength: 5 }),
    tie('object'),
  ),
}));

/** Returns a random integer from 0 to below `limit`. */
export type Pick = (limit: number) => number;

export const picks: fc.Arbitrary<Pick> = fc.infiniteStream(fc.nat(0xffff)).map((stream) => {
  return (limit) => stream.next().value % limit;
});

/** Writes the value as some other client might. */
export function spelling(value: Json, pick: Pick): string {
  const space = () => ['', '', '', ' ', '\n', '\t\r\n  '][pick(6)] ?? '';
  const list = (items: string[]) => items.join(',') || space();
  const spell = (item: Json): string => {
    if (typeof item === 'number') return numberSpelling(item, pick);
    if (typeof item === 'string') return stringSpelling(item, pick);
    if (typeof item !== 'object' || item === null) return String(item);
    if (Array.isArray(item)) return `[${list(item.map((one) => space() + spell(one) + space()))}]`;
    const members = shuffled(Object.entries(item), pick).map(
      ([key, one]) =>
        `${space()}${stringSpelling(key, pick)}${space()}:${space()}${spell(one)}${space()}`,
    );
    return `{${list(members)}}`;
  };
  return space() + spell(value) + space();
}

function shuffled<T>(items: T[], pick: Pick): T[] {
  return items
    .map((item) => ({ item, rank: pick(1000) }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item);
}

function stringSpelling(value: string, pick: Pick): string {
  const escapes = (text: string) =>
    text
      .split('')
      .map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .map((escape) => (pick(2) ? escape : `\\u${escape.slice(2).toUpperCase()}`))
      .join('');
  // UTF-8 cannot encode a lone surrogate, so escape it.
  const characters = Array.from(value, (one) => {
    if (pick(4) === 0 || /^\p{Cs}$/u.test(one)) return escapes(one);
    if (one === '/' && pick(2)) return '\\/';
    return /["\\]|[^ -\u{10ffff}]/u.test(one) ? JSON.stringify(one).slice(1, -1) : one;
  });
  return `"${characters.join('')}"`;
}

function numberSpelling(value: number, pick: Pick): string {
  const [mantissa = '', power = ''] = Math.abs(value).toExponential().split('e');
  const sign = value < 0 || (value === 0 && pick(2)) ? '-' : '';
  const digits = mantissa.replace('.', '') + '0'.repeat(pick(4));
  const zeros = pick(3);
  const e = pick(2) ? 'e' : 'E';
  const exponent = (by: number) => {
    const sum = Number(power) + by;
    return `${sum < 0 ? '-' : ['', '+'][pick(2)]}${'0'.repeat(pick(3))}${Math.abs(sum)}`;
  };
  const spellings = [
    () => JSON.stringify(value),
    () => `${sign}${mantissa}${e}${exponent(0)}`,
    () => `${sign}${BigInt(digits) === 0n ? '0' : digits}${e}${exponent(1 - digits.length)}`,
    () => `${sign}0.${'0'.repeat(zeros)}${digits}${e}${exponent(zeros + 1)}`,
  ];
  return spellings[pick(spellings.length)]?.() ?? '';
}
