import { expect } from 'chai';
import { suggestion } from '../../schemas/suggestion.ts';

describe('The name that was likely meant', () => {
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
    it(`is ${meant} for ${written}`, () => {
      expect(suggestion(written, known)).to.equal(`; did you mean "${meant}"?`);
    });
  }

  for (const written of ['', 'prices', 'timeout', 'x'.repeat(5000), 7, null, undefined, {}]) {
    it(`is not guessed for ${JSON.stringify(written)?.slice(0, 20)}`, () => {
      expect(suggestion(written, known)).to.equal('');
    });
  }

  it('is never one that is not a name, nor the name that was written', () => {
    expect(suggestion('ttl', [1, null, 'ttl'])).to.equal('');
  });
});
