import { expect } from 'chai';
import * as fc from 'fast-check';
import { JsonScan, type ScanOptions } from '../../../policies/shared/json/json-scan.ts';
import { referenceMembers } from '../../support/json-reference.ts';
import { object, picks, spelling } from '../../support/json-spelling.ts';

/** The members in canonical form, read where memory is not aligned, in steps of so many units. */
function members(text: string, at: number, units: number, options: ScanOptions) {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(at + encoded.length + 8).subarray(at, at + encoded.length);
  bytes.set(encoded);
  const scan = new JsonScan(bytes, null, options);
  while (!scan.step(units));
  expect(scan.content.problem, text).to.equal(null);
  return scan.content.members;
}

const run = fc.oneof(
  fc.constantFrom('"', '\\', '\n', '/', '\u0001', 'é', '漢字', '😀', '\ud800', '', ' '),
  fc.string({ maxLength: 70 }),
  fc.nat(90).map((length) => 'x'.repeat(length)),
);
/** Long enough to be read by words, and broken anywhere. */
const longString = fc.array(run, { maxLength: 8 }).map((runs) => runs.join(''));

const number = fc
  .record({
    sign: fc.constantFrom('', '-'),
    digits: fc.bigInt(0n, 10n ** 45n),
    zeros: fc.constantFrom(1n, 10n, 1000n),
    fraction: fc.constantFrom('', '.0', '.50', '.125', '.00000000000000000000000001'),
    exponent: fc.constantFrom('', 'e0', 'E+2', 'e-3', 'e-0100', 'E400'),
  })
  .map((one) => `${one.sign}${one.digits * one.zeros}${one.fraction}${one.exponent}`);

describe('The canonical form', () => {
  const stops = fc.constantFrom(1, 7, 64, 1 << 20);
  const options = fc.record({ isUtf8: fc.boolean() });

  it('The scan and a plain tree make one canonical form of a body, however it is spelt and wherever it lies', () => {
    const property = fc.property(
      object,
      picks,
      fc.nat(7),
      stops,
      options,
      (value, pick, at, units, known) => {
        const text = spelling(value, pick);
        expect(members(text, at, units, known)).to.deep.equal(referenceMembers(text));
      },
    );
    fc.assert(property, { numRuns: 3000 });
  });

  it('The scan and a plain tree make one canonical form of long strings and names', () => {
    const property = fc.property(
      fc.array(fc.tuple(longString, longString), { maxLength: 5 }),
      picks,
      fc.nat(7),
      stops,
      options,
      (pairs, pick, at, units, known) => {
        const value = { a: Object.fromEntries(pairs), b: pairs.flat() };
        const text = pick(2) ? spelling(value, pick) : JSON.stringify(value);
        expect(members(text, at, units, known)).to.deep.equal(referenceMembers(text));
      },
    );
    fc.assert(property, { numRuns: 3000 });
  });

  it('The scan and a plain tree make one canonical form of numbers', () => {
    const property = fc.property(fc.array(number), stops, (numbers, units) => {
      const text = `{"a":[${numbers.join()}],"b" :${numbers[0] ?? 0} ,"c":${numbers.at(-1) ?? 0}}`;
      expect(members(text, 0, units, {})).to.deep.equal(referenceMembers(text));
    });
    fc.assert(property, { numRuns: 3000 });
  });

  it('The scan and a plain tree both find members that stand twice', () => {
    const name = fc.constantFrom('a', 'b', 'c', '__proto__', '\\u0061', 'd', 'e');
    const inner = fc
      .array(name, { maxLength: 6 })
      .map((names) => `{${names.map((one, at) => `"${one}":${at}`).join()}}`);
    const property = fc.property(fc.array(inner, { maxLength: 3 }), stops, (objects, units) => {
      const text = `{"a":[${objects.join()}],"b":${objects[0] ?? 1}}`;
      expect(members(text, 0, units, {})).to.deep.equal(referenceMembers(text));
    });
    fc.assert(property, { numRuns: 3000 });
  });
});
