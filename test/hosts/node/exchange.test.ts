import * as http from 'node:http';
import { Socket } from 'node:net';
import { expect } from 'chai';
import { expressExchange } from '../../../policies/hosts/express/request.ts';
import { exchangeOf, NodeExchange } from '../../../policies/hosts/node/exchange.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { FaultLog } from '../../../policies/shared/faults.ts';

describe('An exchange of Node', () => {
  it('An exchange goes by the headers that the request has when a policy takes it', () => {
    const parts = { method: 'POST', originalUrl: '/v1/chat/completions' };
    const req = Object.assign(new http.IncomingMessage(new Socket()), parts);
    req.headers = { 'openai-organization': 'one' };
    const services = { budget: new ByteBudget(1000), faults: new FaultLog(console) };
    const maker = expressExchange({ apiEndpoint: null, consumer: () => undefined });
    const exchange = exchangeOf(req, new http.ServerResponse(req), services, maker);
    if (!(exchange instanceof NodeExchange)) return expect.fail('no exchange');

    const organization = () => [
      exchange.header('openai-organization'),
      exchange.headers['openai-organization'],
    ];
    expect(exchange.claim('llm-usage')).to.equal(true);
    expect(organization()).to.deep.equal(['one', 'one']);
    req.headers['openai-organization'] = 'two';
    expect(organization()).to.deep.equal(['two', 'two']);
    req.headers = { 'openai-organization': 'three' };
    expect(exchange.claim('llm-cache')).to.equal(true);
    expect(organization()).to.deep.equal(['three', 'three']);
  });
});
