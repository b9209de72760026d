import { expect } from 'chai';
import * as fc from 'fast-check';
import { canonicalMembers } from '../../../policies/shared/json/json-scan.ts';
import { type Json, object, type Pick, picks, spelling } from '../../support/json-spelling.ts';

/** As one object, its members in order as those of any other. */
function canonical(text: string): string | null {
  return canonicalMembers(`{"value":${text}}`)?.get('value') ?? null;
}

/** The canonical form of one value. */
const canonicalValue = (text: string) => canonicalMembers(`{"value":${text}}`)?.get('value');

/** The value with one thing changed in it, somewhere. */
function changed(value: Json, pick: Pick): Json {
  if (typeof value === 'number') return value === 0 ? 1 : [-value, value / 2][pick(2)]!;
  if (typeof value === 'boolean') return !value;
  if (value === null) return false;
  if (typeof value === 'string') {
    if (value === '') return ' ';
    const at = pick(value.length);
    const other = String.fromCharCode(value.charCodeAt(at) ^ (1 << pick(16)));
    return value.slice(0, at) + [other, ''][pick(2)] + value.slice(at + 1);
  }
  if (Array.isArray(value)) {
    const at = pick(value.length + 1);
    if (at === value.length) return [...value, null];
    return pick(3) ? value.with(at, changed(value[at]!, pick)) : value.toSpliced(at, 1);
  }
  const members = Object.entries(value);
  const at = pick(members.length + 1);
  const fresh = `${members.map(([key]) => key).join('')}+`;
  const [key, item] = members[at] ?? [];
  if (key === undefined || item === undefined) return { ...value, [fresh]: null };
  const instead: [string, Json][][] = [[[key, changed(item, pick)]], [[fresh, item]], []];
  return Object.fromEntries(members.toSpliced(at, 1, ...instead[pick(3)]!));
}

describe('Canonical JSON', () => {
  it('Canonical JSON is the same for all texts of one meaning', () => {
    const property = fc.property(object, picks, (value, pick) => {
      const expected = canonical(JSON.stringify(value));
      expect(expected).to.be.a('string');
      expect(canonical(spelling(value, pick))).to.equal(expected);
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('Canonical JSON means what the text meant', () => {
    const property = fc.property(object, picks, (value, pick) => {
      expect(JSON.parse(canonical(spelling(value, pick)) ?? '')).to.deep.equal(value);
    });
    fc.assert(property, { numRuns: 300 });
  });

  it('Canonical JSON changes with any change of meaning', () => {
    const property = fc.property(object, picks, (value, pick) => {
      const other = changed(value, pick);
      expect(canonical(spelling(other, pick))).not.to.equal(canonical(spelling(value, pick)));
    });
    fc.assert(property, { numRuns: 1000 });
  });

  it('Canonical JSON is its own canonical form', () => {
    const property = fc.property(object, picks, (value, pick) => {
      const text = canonical(spelling(value, pick)) ?? '';
      expect(canonical(text)).to.equal(text);
    });
    fc.assert(property, { numRuns: 300 });
    const beyondDoubles = canonical(
      '{"a":[12345678901234567890,-1e400,1e-400,0.10000000000000001]}',
    );
    expect(canonical(beyondDoubles ?? '')).to.equal(beyondDoubles);
  });

  it('Canonical JSON sorts members by the bytes of their names, and keeps the order of arrays', () => {
    expect(canonical('{"b":[{"z":1,"Z":2},1],"\ufb01":3,"\ud83d\ude00":4,"a":5}')).to.equal(
      '{"a":5,"b":[{"Z":2,"z":1},1],"\ufb01":3,"\ud83d\ude00":4}',
    );
    expect(canonicalValue('[1,2]')).not.to.equal(canonicalValue('[2,1]'));
  });

  it('Canonical JSON may have empty objects and arrays', () => {
    expect(canonical(' { "a" : [ ] , "b" : { } , "c" : [ [ ] , { } ] } ')).to.equal(
      '{"a":[],"b":{},"c":[[],{}]}',
    );
    expect(canonical('{}')).to.equal('{}');
  });

  it('Canonical JSON knows members by their unescaped names, built-in ones included', () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"toString":3,"":4,"\\u0061":5}';
    expect([...(canonicalMembers(text) ?? [])]).to.deep.equal([
      ['__proto__', '{"a":1}'],
      ['constructor', '2'],
      ['toString', '3'],
      ['', '4'],
      ['a', '5'],
    ]);
  });
});

describe('Numbers in canonical JSON', () => {
  it('Canonical JSON writes numbers by value', () => {
    for (const same of [
      ['1', '1.0', '1e0', '10e-1', '0.1E+1', '1000000000000000000000e-21'],
      ['0', '-0', '0.0', '-0e5', `0e${'9'.repeat(400)}`],
      ['0.1', '0.10', '1e-1'],
      ['1e22', '10000000000000000000000', '1e+0022'],
      ['12345678901234567890', '12345678901234567890.0', '1234567890123456789e1'],
      ['9007199254740993', '9007199254740993.0', '90071992547409930e-1'],
    ]) {
      expect(new Set(same.map(canonicalValue)), same.join(' ')).to.have.property('size', 1);
    }
  });

  it('Canonical JSON writes a number that no double holds by its decimal text', () => {
    const literals =
      '12345678901234567890 12345678901234567891 -12345678901234567891 9007199254740992 ' +
      '9007199254740993 0.1 0.10000000000000001 1e400 1e401 -1e400 1e-400 1e-401 0 ' +
      '1e999999999999 1e-999999999999';
    const forms = literals.split(' ').map(canonicalValue);
    expect(new Set(forms)).to.have.property('size', forms.length);
  });

  it('Canonical JSON writes two numbers alike exactly where their decimal values are equal', () => {
    const bases = [0n, 1n, 2n ** 53n, 10n ** 15n, 12345678901234567890n, 10n ** 22n, 10n ** 40n];
    const literal = fc.record({
      digits: fc
        .tuple(fc.constantFrom(...bases), fc.bigInt(0n, 2n), fc.nat(3))
        .map(([base, more, zeros]) => (base + more) * 10n ** BigInt(zeros)),
      exponent: fc.integer({ min: -4, max: 4 }),
      isNegative: fc.boolean(),
    });
    type Literal = typeof literal extends fc.Arbitrary<infer T> ? T : never;
    const sign = (one: Literal) => (one.isNegative ? '-' : '');
    const spelt = (one: Literal) => `${sign(one)}${one.digits}e${one.exponent}`;
    const value = (one: Literal) =>
      BigInt(`${one.digits}${'0'.repeat(one.exponent + 4)}`) * (one.isNegative ? -1n : 1n);
    const property = fc.property(literal, literal, (a, b) => {
      expect(canonicalValue(spelt(a)) === canonicalValue(spelt(b))).to.equal(value(a) === value(b));
    });
    fc.assert(property, { numRuns: 5000 });
  });

  it('Canonical JSON accepts numbers of four thousand digits, and no longer ones', () => {
    const zeros = '0'.repeat(4000);
    expect(canonicalValue(`1${zeros}`)).to.equal('1e4000');
    expect(canonicalValue(`0.${zeros}1e4001`)).to.equal('1');
    expect(canonicalValue(`1e${zeros}1`)).to.equal('1e1');
    expect(canonicalValue('7'.repeat(4000))).to.equal('7'.repeat(4000));
    expect(canonicalValue('7'.repeat(5000))).to.equal(undefined);
  });

  it('Canonical JSON refuses exponents past 1e15, whose sums a double would round', () => {
    expect(canonicalValue('1e1000000000000000')).to.equal('1e1000000000000000');
    for (const sign of ['', '-']) {
      expect(canonical(`{"a":1e${sign}1000000000000001}`)).to.equal(null);
      expect(canonical(`{"a":1e${sign}${'9'.repeat(1e6)}}`)).to.equal(null);
    }
  });
});

describe('Strings in canonical JSON', () => {
  it('Canonical JSON writes strings by code unit', () => {
    expect(canonicalValue('"\\u0041\\/\\u00e9\\ud83d\\uDE00"')).to.equal('"A/é😀"');
    expect(canonicalValue('"\\u00e9"')).not.to.equal(canonicalValue('"e\\u0301"'));
  });

  it('Canonical JSON keeps lone surrogates apart', () => {
    expect(canonicalValue('"\\uD800"')).to.equal('"\\ud800"');
    expect(canonicalValue('"\\ud83d\\ud83d\\ude00\\ude00"')).to.equal('"\\ud83d😀\\ude00"');
    const strings = ['"\\ud800"', '"\\ud801"', '"\\udc00"', '"\\udc00\\ud800"', '"\ufffd"'];
    expect(new Set(strings.map(canonicalValue))).to.have.property('size', strings.length);
    expect(canonical('{"\\ud800":1,"\\ud801":2,"\ufffd":3}')).to.be.a('string');
  });

  it('Canonical JSON accepts long runs of quotes and backslashes', () => {
    for (const run of ['\\', '"', '\\"', '\\\\"', '\n']) {
      const literal = JSON.stringify(run.repeat(3e5));
      expect(canonicalValue(literal) === literal, run).to.equal(true);
    }
  });
});

describe('Bodies without a canonical form', () => {
  it('Canonical JSON refuses a member that stands twice, at any depth and in any spelling', () => {
    expect(canonical('{"a":1,"a":1}')).to.equal(null);
    expect(canonical('{"a":1,"b":2,"\\u0061":1}')).to.equal(null);
    expect(canonical('{"a":[0,{"b":{"__proto__":1,"__proto__":2}}]}')).to.equal(null);
    expect(canonical('{"\\ud800":1,"\\uD800":2}')).to.equal(null);
    expect(canonicalMembers('{"a":1,"b":{},"a":2}')).to.equal(null);
    expect(canonical('{"a":{"a":1},"b":{"a":1}}')).to.be.a('string');
  });

  it('Canonical JSON refuses more than 500 levels', () => {
    const arrays = (depth: number) => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
    const objects = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
    for (const nested of [arrays, objects]) {
      expect(canonical(nested(499))).to.equal(nested(499));
      expect(canonical(nested(500))).to.equal(null);
      expect(canonical(nested(1000))).to.equal(null);
    }
    expect(canonical(`{"a":[${'[],{},'.repeat(1000)}0]}`)).to.be.a('string');
  });

  it('Canonical JSON refuses more than 100,000 values', () => {
    const values = (count: number) => `{"a":[${Array(count).fill('{}').join()}]}`;
    expect(canonical(values(99_990))).to.be.a('string');
    expect(canonical(values(100_001))).to.equal(null);
  });

  it('Canonical JSON refuses an object with too many members to sort, unless they are in order', () => {
    const names = Array.from({ length: 5000 }, (_, at) => `"n${String(at).padStart(5, '0')}":0`);
    expect(canonical(`{${names.join()}}`)).to.equal(`{${names.join()}}`);
    expect(canonical(`{${names.toReversed().join()}}`)).to.equal(null);
    const few = names.slice(0, 4000);
    expect(canonical(`{${few.toReversed().join()}}`)).to.equal(`{${few.join()}}`);
  });

  it('Canonical JSON refuses a body whose sorting would move everything many times', () => {
    const nested = (levels: number) =>
      `${'{"b":0,"a":'.repeat(levels)}"${'x'.repeat(100_000)}"${'}'.repeat(levels)}`;
    expect(canonical(nested(7))).to.be.a('string');
    expect(canonical(nested(20))).to.equal(null);
  });
});
