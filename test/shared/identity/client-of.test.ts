import { expect } from 'chai';
import { clientsOf } from '../../../policies/shared/identity/client-of.ts';
import { applicationIdentity } from '../../../policies/shared/identity/identity.ts';

const asked = (ownHeaders: readonly string[], query = '') =>
  clientsOf({ identity: 'none', ownHeaders, query });

describe('The client whose bytes are held', () => {
  it('A client whose bytes are held is its consumer, whatever else it sends', () => {
    const identity = applicationIdentity('ada');
    const clients = clientsOf({ identity, ownHeaders: ['Cookie', 'a=b'], query: '?key=k' });
    expect(clients).to.have.length(1);
    expect(clients).to.deep.equal(clientsOf({ identity, ownHeaders: [], query: '' }));
  });

  it('A client whose bytes are held is each of its credentials, so that one made up hides nothing', () => {
    for (const name of [
      'Authorization',
      'proxy-authorization',
      'X-API-Key',
      'api-key',
      'x-goog-api-key',
      'Ocp-Apim-Subscription-Key',
      'Cookie',
    ]) {
      const real = asked(['Accept', '*/*', name, 'real']);
      expect(real, name).to.have.length(1);
      expect(asked(['X-Api-Key', 'x'], '?key=made-up')).to.not.include(real[0]);
      const other = name === 'X-API-Key' ? 'api-key' : 'x-api-key';
      expect(asked([other, 'made up', name, 'real'], '?key=made-up')).to.include(real[0]);
    }
    expect(asked([], '?key=k')).to.deep.equal(['?key k']);
  });

  it('A client whose bytes are held has one credential of each kind at most, and is not known without any', () => {
    expect(asked(['x-api-key', 'a', 'X-Api-Key', 'b'])).to.deep.equal(['x-api-key a']);
    expect(asked(['accept', '*/*', 'x-request-id', '1'], '?alt=sse')).to.deep.equal([]);
  });

  it('A client whose bytes are held is known by its credentials where the application fails to tell', () => {
    const asking = {
      get identity(): never {
        throw new Error('no');
      },
      ownHeaders: ['authorization', 'Bearer x'],
      query: '',
    };
    expect(clientsOf(asking)).to.deep.equal(['authorization Bearer x']);
  });
});
