import { expect } from 'chai';
import { suggestion } from '../../schemas/suggestion.ts';

describe('Suggestions for misspelt names', () => {
  const known = ['ttl', 'maxTtl', 'store', 'scope', 'staleIfError', 'coalesceWaitMs'];

  for (const [written, meant] of [
    ['tll', 'ttl'],
    ['tl', 'ttl'],
    ['ttls', 'ttl'],
    ['TTL', 'ttl'],
    ['max_ttl', 'maxTtl'],
    ['max-ttl', 'maxTtl'],
    ['MaxTTL', 'maxTtl'],
    ['stoer', 'store'],
    ['stale_if_error', 'staleIfError'],
    ['staleOnError', 'staleIfError'],
    ['coalesceWait', 'coalesceWaitMs'],
  ]) {
    it(`The suggestion for ${written} is ${meant}`, () => {
      expect(suggestion(written, known)).to.equal(`; did you mean "${meant}"?`);
    });
  }

  for (const written of ['', 'prices', 'timeout', 'x'.repeat(5000), 7, null, undefined, {}]) {
    it(`No name is suggested for ${JSON.stringify(written)?.slice(0, 20)}`, () => {
      expect(suggestion(written, known)).to.equal('');
    });
  }

  it('The suggestion is never a value that is no name, nor the name itself', () => {
    expect(suggestion('ttl', [1, null, 'ttl'])).to.equal('');
  });
});
