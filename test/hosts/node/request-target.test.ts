import { expect } from 'chai';
import { pathOf, protocolOf, queryOf } from '../../../policies/hosts/node/request-target.ts';

describe('A request target', () => {
  const chat = '/v1/chat/completions';

  it('A request target has a path and a query, in origin or absolute form', () => {
    for (const before of ['', 'http://api.example', 'https://ann:secret@api.example:8443']) {
      const target = `${before}${chat}?key=k`;
      expect([pathOf(target), queryOf(target)], target).to.deep.equal([chat, '?key=k']);
      expect(protocolOf({ method: 'POST', originalUrl: target })?.name).to.equal('chat');
    }
    expect([pathOf('http://api.example'), queryOf('http://api.example')]).to.deep.equal(['/', '']);
    expect(pathOf('http://ann:secret@api.example?key=k')).to.equal('/');
  });
});
