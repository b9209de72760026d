import { expect } from 'chai';
import { type ConsumerDirectory, ConsumerNames } from '../../policies/admin/consumers.ts';
import { AdminError } from '../../policies/admin/http.ts';
import { FaultLog } from '../../policies/shared/faults.ts';

describe('The names of consumers', () => {
  const errors: string[] = [];
  const log = { info() {}, warn() {}, error: (text: string) => errors.push(text) };
  let now = 0;
  beforeEach(() => {
    errors.length = 0;
    now = 0;
  });
  function namesOf(directory: ConsumerDirectory | null): ConsumerNames {
    const faults = new FaultLog(log);
    return new ConsumerNames({
      directory: () => directory,
      faults,
      running: () => now,
      patienceMs: 20,
    });
  }
  const never = () => Promise.resolve(false);
  async function refusal(promise: Promise<unknown>): Promise<AdminError> {
    try {
      await promise;
    } catch (error) {
      if (error instanceof AdminError) return error;
    }
    throw new Error('it was not refused');
  }

  it('ConsumerNames asks the directory for each id once a minute, ids without a name included', async () => {
    const asked: string[] = [];
    const names = namesOf({
      nameOf: async (id) => {
        asked.push(id);
        return id === '1' ? 'one' : null;
      },
      find: async () => [],
    });
    for (const _ of [1, 2]) {
      expect(await names.of(['1', '2', null, '1'])).to.deep.equal(new Map([['1', 'one']]));
    }
    expect(asked).to.deep.equal(['1', '2']);
    now += 61_000;
    await names.of(['1']);
    expect(asked).to.deep.equal(['1', '2', '1']);
  });

  it('ConsumerNames leaves names out while the directory fails, and logs it', async () => {
    const names = namesOf({
      nameOf: () => Promise.reject(new Error('down')),
      find: () => Promise.reject(new Error('down')),
    });
    expect(await names.of(['1'])).to.deep.equal(new Map());
    expect(errors.join()).to.contain('the names of consumers could not be read');
    expect((await refusal(names.idOf('one', never))).status).to.equal(503);
  });

  it('ConsumerNames does not wait for a directory that never answers', async () => {
    const names = namesOf({ nameOf: () => new Promise(() => {}), find: async () => [] });
    expect(await names.of(['1'])).to.deep.equal(new Map());
  });

  it('ConsumerNames takes ids for names where the host keeps no consumers', async () => {
    const names = namesOf(null);
    expect(await names.of(['1'])).to.deep.equal(new Map());
    expect(await names.idOf('anyone', never)).to.equal('anyone');
  });

  it('ConsumerNames accepts an id that only the books still know, and refuses one that they do not', async () => {
    const names = namesOf({ nameOf: async () => null, find: async () => [] });
    expect(await names.idOf('deleted', () => Promise.resolve(true))).to.equal('deleted');
    expect((await refusal(names.idOf('made up', never))).message).to.contain('"made up"');
  });
});
