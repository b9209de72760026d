import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway, signJwt } from '../../support/gateway.ts';
import { post, type Reply } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

const jwt = {
  jwt: { action: { secretOrPublicKey: 'jwt secret', checkCredentialExistence: false } },
};
const operatorsKey = {
  'request-transformer': { action: { headers: { add: { authorization: "'Bearer operator'" } } } },
};

describe('Scopes in the gateway', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;
  let model = '';

  before(async () => {
    upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        keyed: [{ 'key-auth': {} }, ...both()],
        tokens: [jwt, ...both()],
        open: both(),
        consumers: both({ scope: 'consumer' }),
        credentials: both({ scope: 'credential', credentialHeaders: ['X-Tenant'] }),
        shared: both({ scope: 'shared' }),
        'operators-key': [operatorsKey, ...both()],
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
  });

  /** Sends the same question with each set of headers, and tells who was answered from the cache. */
  async function ask(pipeline: string, ...senders: Record<string, string>[]): Promise<Reply[]> {
    model = `model ${++question}`;
    const body = { model, messages: [{ role: 'user', content: 'Hi!' }] };
    const replies: Reply[] = [];
    for (const headers of senders) {
      replies.push(await post(`${gateway.url}/${pipeline}/v1/chat/completions`, body, { headers }));
    }
    return replies;
  }
  const hits = (replies: readonly Reply[]) =>
    replies.map(({ headers }) => headers['x-cache'] === 'HIT (exact)');

  it("The gateway gives no consumer another consumer's answer, and each its own", async () => {
    const ada = await gateway.createConsumer('ada');
    const bob = await gateway.createConsumer('bob');
    const asAda = { authorization: `apiKey ${ada.apiKey}` };
    const asBob = { authorization: `apiKey ${bob.apiKey}` };
    const replies = await ask('keyed', asAda, asBob, asAda, asBob);
    expect(hits(replies)).to.deep.equal([false, false, true, true]);
    expect(new Set(replies.map(({ headers }) => headers['x-cache-key'])).size).to.equal(2);
    const own = await gateway.recorded(model, 4);
    expect(own.map((one) => one.consumer_id)).to.deep.equal([ada.id, bob.id, ada.id, bob.id]);
    for (const secret of [ada.apiKey, ada.id, bob.apiKey, 'ada']) {
      for (const { headers } of replies) expect(JSON.stringify(headers)).to.not.contain(secret);
    }
  });

  it('The gateway turns a request without a valid key away before the cache', async () => {
    const [reply] = await ask('keyed', {});
    expect(reply?.status).to.equal(401);
    expect(reply?.headers).to.not.have.property('cache-status');
  });

  it('The gateway tells apart the subjects of tokens that were not looked up', async () => {
    const bearer = (payload: object) => ({
      authorization: `Bearer ${signJwt(payload, 'jwt secret')}`,
    });
    const ada = bearer({ iss: 'me', sub: 'ada', iat: 1 });
    const adaAgain = bearer({ iss: 'me', sub: 'ada', iat: 2 });
    const others = [
      bearer({ iss: 'me', sub: 'bob' }),
      bearer({ iss: 'you', sub: 'ada' }),
      bearer({ client_id: 'ada' }),
      bearer({ username: 'ada' }),
    ];
    const replies = await ask('tokens', ada, ...others, adaAgain);
    expect(hits(replies)).to.deep.equal([false, false, false, false, false, true]);
    const ids = (await gateway.recorded(model, 6)).map((one) => one.consumer_id);
    expect(new Set(ids).size).to.equal(5);
    for (const id of ids) expect(id).to.match(/^[\w-]{22}$/);
  });

  it('The gateway tells callers without a consumer apart by credential, and groups those with none', async () => {
    const one = { authorization: 'Bearer sk-one' };
    const two = { authorization: 'Bearer sk-two' };
    const anthropic = { 'x-api-key': 'sk-one' };
    const replies = await ask('open', one, two, anthropic, {}, one, two, anthropic, {});
    expect(hits(replies)).to.deep.equal([false, false, false, false, true, true, true, true]);
  });

  it('The gateway stands aside for a caller without a consumer in scope consumer', async () => {
    const replies = await ask('consumers', {}, { authorization: 'Bearer sk-one' });
    for (const { headers } of replies) {
      expect(headers['cache-status']).to.equal('llm-cache; fwd=bypass; detail=no-scope');
    }
  });

  it("The gateway knows the operator's own credential headers, in any case", async () => {
    const replies = await ask(
      'credentials',
      { 'x-tenant': 'a' },
      { 'X-TENANT': 'a', authorization: 'Bearer other' },
      { 'x-tenant': 'b' },
      { authorization: 'Bearer other' },
    );
    expect(hits(replies)).to.deep.equal([false, true, false, false]);
    expect(replies[3]?.headers['cache-status']).to.contain('detail=no-scope');
  });

  it('The gateway shares an answer with all callers in scope shared', async () => {
    const replies = await ask('shared', { authorization: 'Bearer a' }, {}, { 'x-api-key': 'b' });
    expect(hits(replies)).to.deep.equal([false, true, true]);
  });

  it("The gateway scopes by the client's credential where a policy replaces it with the operator's", async () => {
    const one = { authorization: 'Bearer sk-one' };
    const two = { authorization: 'Bearer sk-two' };
    const replies = await ask('operators-key', one, two, one);
    expect(hits(replies)).to.deep.equal([false, false, true]);
    expect(upstream.last.headers.authorization).to.equal('Bearer operator');
  });

  it('The gateway keeps answers apart by path, query and vary headers, and by nothing else', async () => {
    const body = {
      model: 'gpt-4o',
      messages: [{ role: 'user', content: `Question ${++question}` }],
    };
    const url = `${gateway.url}/open/v1/chat/completions`;
    const miss = async (target: string, headers = {}) =>
      expect((await post(target, body, { headers })).headers['cache-status']).to.contain(
        'fwd=miss',
      );
    await miss(url);
    await miss(`${url}?api-version=1`);
    await miss(`${url}?api-version=2`);
    await miss(`${gateway.url}/open/v2/chat/completions`);
    await miss(`${gateway.url}/credentials/v1/chat/completions`, { 'x-tenant': 'a' });
    await miss(url, { 'openai-beta': 'x' });
    const hit = await post(url, body, {
      headers: { 'user-agent': 'another', 'x-request-id': '1' },
    });
    expect(hit.headers['x-cache']).to.equal('HIT (exact)');
  });
});
