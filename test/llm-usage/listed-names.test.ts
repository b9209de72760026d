import { calcPrice, findProvider, type MatchLogic } from '@pydantic/genai-prices';
import { expect } from 'chai';
import { mayList } from '../../policies/llm-usage/listed-names.ts';

const providers = ['openai', 'anthropic', 'google', 'mistral', 'azure', 'aws', 'openrouter'];

/** Returns every text that the list compares names with. */
function textsOf(logic: MatchLogic): string[] {
  if ('or' in logic) return logic.or.flatMap(textsOf);
  if ('and' in logic) return logic.and.flatMap(textsOf);
  return Object.values(logic);
}

describe('The names in the price list', () => {
  for (const id of providers) {
    it(`The name filter agrees with the price list for ${id}, and without a provider`, () => {
      const models = findProvider({ providerId: id })?.models ?? [];
      const texts = models.flatMap((model) => [model.id, ...textsOf(model.match)]);
      expect(texts).to.not.have.length(0);
      // A sample, since the list has hundreds of names and is slow.
      const step = Math.ceil(texts.length / 60);
      for (const text of texts.filter((_, at) => at % step === 0)) {
        for (const name of [text, ` ${text.toUpperCase()} `, `${text}-20250929`, `x-${text}`]) {
          for (const providerId of [id, '']) {
            const has = calcPrice({}, name, { providerId }) !== null;
            expect(mayList(providerId, name), `${providerId} ${name}`).to.equal(has);
          }
        }
      }
    });
  }

  it('The name filter finds nothing for an unknown provider', () => {
    for (const id of ['nobody', 'constructor', '__proto__']) {
      expect(mayList(id, 'gpt-4o'), id).to.equal(false);
    }
  });
});
