import { expect } from 'chai';
import * as fc from 'fast-check';
import { check } from '../../schemas/validate-portable.ts';
import { fetchSchema } from '../../schemas/fetch.ts';
import { llmCacheSchema } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';

/** What is made of a value: the settings, or the message of what is wrong with it. */
function outcome(judge: typeof validate, schema: typeof fetchSchema, value: unknown): unknown {
  try {
    return judge(schema, value, 'here');
  } catch (error) {
    return String(error);
  }
}

const json = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.integer({ min: -2, max: 5 }),
  fc.integer({ min: 86_400_000, max: 3_155_760_001 }),
  fc.double(),
  fc.constantFrom(Infinity, -Infinity, NaN),
  fc.string({ maxLength: 3, unit: 'binary' }),
  fc.constantFrom('shared', 'auto', '', 'x'.repeat(257), '😀'.repeat(256)),
  fc.array(fc.constantFrom('a', '', 1)),
);
const rates = fc.record(
  { input: json, output: json, 'in/put~': json },
  { requiredKeys: [], noNullPrototype: true },
);
const prices = fc.dictionary(
  fc.constantFrom('gpt-4o', 'a/b~c', '__proto__'),
  fc.oneof(rates, json),
);
const named = (names: readonly string[]) =>
  fc.dictionary(fc.constantFrom(...names, 'tll', 'constructor'), json, {
    maxKeys: 6,
    noNullPrototype: true,
  });

describe('The portable validation', () => {
  for (const [name, schema] of Object.entries({ llmCacheSchema, fetchSchema })) {
    it(`The portable validation says of ${name} what Ajv says, in the same words`, () => {
      const names = Object.keys(schema.properties as object);
      const values = fc.oneof(
        json,
        named(names),
        fc.tuple(named(names), prices).map(([one, two]) => ({ ...one, prices: two })),
      );
      fc.assert(
        fc.property(values, (value) => {
          expect(outcome(check, schema, value)).to.deep.equal(outcome(validate, schema, value));
        }),
        { numRuns: 3000 },
      );
    });
  }

  it('The portable validation fills in every default, and leaves its input as it was', () => {
    const given = { ttl: 5 };
    const settings = check<{ ttl: number; varyHeaders: string[] }>(llmCacheSchema, given, 'here');
    expect(settings.ttl).to.equal(5);
    expect(settings.varyHeaders).to.deep.equal(llmCacheSchema.properties.varyHeaders.default);
    expect(settings.varyHeaders).to.not.equal(llmCacheSchema.properties.varyHeaders.default);
    expect(given).to.deep.equal({ ttl: 5 });
  });
});
