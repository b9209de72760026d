import { expect } from 'chai';
import { admin, expectError } from '../../support/admin.ts';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway, signJwt } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

interface Named {
  readonly consumer: string | null;
  readonly consumerName: string | null;
}
interface Row {
  readonly consumer_id: string | null;
  readonly consumer_name: string | null;
}

describe('Consumers in the admin API', () => {
  let upstream: Upstream;
  let gateway: Gateway;
  let ada: { id: string; apiKey: string };
  let app: { id: string; keyId: string; apiKey: string };
  const jwt = {
    jwt: { action: { secretOrPublicKey: 'jwt secret', checkCredentialExistence: false } },
  };

  before(async () => {
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, {
        keyed: [{ 'key-auth': {} }, ...both()],
        tokens: [jwt, ...both()],
      }),
    });
    ada = await gateway.createConsumer('ada');
    await gateway.createConsumer('same name');
    app = await gateway.createApplication('=nightly', 'ada');
    await gateway.createApplication('same name', 'ada');
    upstream.answer(json(answers.chat.json));
    for (const { apiKey } of [ada, app]) await ask('keyed', `apiKey ${apiKey}`);
    await ask('tokens', `Bearer ${signJwt({ id: 'of a token', iat: 1 }, 'jwt secret')}`);
    await eventually(async () => (await rows()).length === 3, 'three consumers in the books');
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.close();
  });

  const question = { model: 'gpt-4o', messages: [{ role: 'user', content: 'who asks?' }] };
  const ask = (pipeline: string, authorization: string) =>
    post(`${gateway.url}/${pipeline}/v1/chat/completions`, question, {
      headers: { authorization },
    });
  const rows = async () =>
    (await admin(gateway, '/usage?group_by=consumer_id')).json['rows'] as Row[];
  const entries = async (query = '') =>
    (await admin(gateway, `/entries${query}`)).json['entries'] as Named[];
  const explain = (consumer: string) =>
    admin(gateway, '/explain', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        apiEndpoint: 'keyed',
        path: '/keyed/v1/chat/completions',
        consumer,
        body: question,
      }),
    });

  it('The admin API shows the names of users and applications beside their ids', async () => {
    const known = [
      [ada.id, 'ada'],
      [app.id, '=nightly'],
      ['of a token', null],
    ];
    expect((await rows()).map((row) => [row.consumer_id, row.consumer_name])).to.have.deep.members(
      known,
    );
    expect(
      (await entries()).map(({ consumer, consumerName }) => [consumer, consumerName]),
    ).to.have.deep.members(known);
  });

  it('The admin API writes the names of consumers into CSV, none of them as a formula', async () => {
    const { text, headers } = await admin(gateway, '/usage?group_by=consumer_id&format=csv');
    expect(headers.get('content-type')).to.match(/^text\/csv/);
    const lines = text.split('\r\n').map((line) => line.split(',').slice(2, 5).join(','));
    expect(lines).to.include.members([
      'consumer_id,consumer_name,requests',
      `${ada.id},ada,1`,
      `${app.id},'=nightly,1`,
      'of a token,,1',
    ]);
  });

  it('The admin API finds a consumer by user name, application name, key id and id', async () => {
    for (const [asked, id] of [
      ['ada', ada.id],
      [ada.id, ada.id],
      ['=nightly', app.id],
      [app.keyId, app.id],
      ['of a token', 'of a token'],
    ] as const) {
      const found = await entries(`?consumer=${encodeURIComponent(asked)}`);
      expect(found.map(({ consumer }) => consumer)).to.deep.equal([id]);
    }
  });

  it("The admin API explains a request for a consumer's name, and says who that is", async () => {
    const { json: told } = await explain('ada');
    expect(told).to.deep.include({ outcome: 'hit', consumer: { id: ada.id, name: 'ada' } });
    expect((await explain(app.keyId)).json).to.deep.include({
      outcome: 'hit',
      consumer: { id: app.id, name: '=nightly' },
    });
  });

  it('The admin API answers 404 for a name that no consumer has, and 409 for one that two have', async () => {
    expectError(await explain('nemo'), 404, 'no consumer has the name or id "nemo"');
    expectError(await explain('same name'), 409, 'more than one consumer is called "same name"');
    for (const method of ['GET', 'DELETE']) {
      const path = '/entries?consumer=nemo';
      expectError(await admin(gateway, path, { method }), 404, 'no consumer has', 'nemo');
    }
    expect(await entries()).to.have.lengthOf(3);
  });

  it('The admin API purges the entries of a consumer by name', async () => {
    const purged = await admin(gateway, '/entries?consumer=%3Dnightly', { method: 'DELETE' });
    expect(purged.json).to.deep.equal({ matched: 1, deleted: 1 });
    expect((await entries()).map(({ consumerName }) => consumerName)).to.have.members([
      'ada',
      null,
    ]);
  });
});
