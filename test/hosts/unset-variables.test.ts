import { expect } from 'chai';
import { UnsetVariables } from '../../policies/hosts/unset-variables.ts';
import { ConfigurationError } from '../../schemas/validate.ts';

/** What is thrown when a file with that line was read as `value`, and `problem` is found in it. */
function thrown(text: string, value: unknown, problem?: string): string | null {
  try {
    UnsetVariables.of(text, { SET: 'x' }).explain(value, 'here', () => {
      if (problem !== undefined) throw new ConfigurationError(`here: ${problem}`);
    });
    return null;
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigurationError);
    return (error as Error).message;
  }
}

describe('An unset environment variable', () => {
  it('An unset variable is named where it has become part of a text', () => {
    expect(thrown('  url: "redis://${HOST}:6379"', { url: 'redis://null:6379' })).to.equal(
      'here: "url" contains the environment variable HOST, which is not set; set it, or write a default: ${HOST:-value}',
    );
    expect(thrown('scopeSecret: "${NOPE}"', { scopeSecret: 'null' })).to.contain('variable NOPE');
  });

  it('An unset variable is named where it stands for the whole value', () => {
    expect(
      thrown('scopeSecret: ${NOPE}', { scopeSecret: null }, '"scopeSecret" must be a string'),
    ).to.equal('here: "scopeSecret" must be a string; this environment variable is not set: NOPE');
  });

  it('An unset variable is named where it is a member of a list', () => {
    expect(
      thrown('keys:\n  - ${KEY}\n', { keys: [null] }, '"keys.0" must be a string, got null'),
    ).to.contain('not set: KEY');
  });

  it('An unset variable is not named where a value is wrong for another reason', () => {
    expect(thrown('a: ${NOPE}', { a: null, ttl: 0 }, '"ttl" must be at least 1')).to.equal(
      'here: "ttl" must be at least 1',
    );
  });

  for (const [what, text, value] of [
    ['that is set', 'a: "${SET}"', { a: 'x' }],
    ['that has a default', 'a: "${NOPE:-null}"', { a: 'null' }],
    ['that is escaped', 'a: "$${NOPE}"', { a: '$${NOPE}' }],
    ['that stands in a comment', '# a: ${NOPE}', { a: 'null' }],
    ['that stands beside a text with null', 'b: ${NOPE}\na: null-and-void', { a: 'null-and-void' }],
  ] as const) {
    it(`A variable ${what} is not taken for an unset one`, () =>
      expect(thrown(text, value)).to.equal(null));
  }

  it('Unset variables are not looked for in a file that cannot be read', () => {
    expect(UnsetVariables.in('/nowhere/at/all.yml').explain(1, 'here', () => 2)).to.equal(2);
    expect(UnsetVariables.in(undefined).explain(1, 'here', () => 2)).to.equal(2);
  });
});
