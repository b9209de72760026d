import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { eventually } from '../../support/eventually.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { bulk, OddRedis } from '../../support/odd-redis.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, sse, Upstream } from '../../support/upstream.ts';

/** As the proxies and caches that are taken for a Redis answer, and worse. */
const nonsense: Readonly<Record<string, string>> = {
  'a number': ':5\r\n',
  'a number below zero': ':-1\r\n',
  'a word': '+OK\r\n',
  'a text': bulk('hello'),
  'an entry that it has made up': bulk(`LLMC\x03\x01\x00\x00\x00\x05${'\xff'.repeat(200)}`),
  'an empty list': '*0\r\n',
  'no list': '*-1\r\n',
  'a list of numbers': '*2\r\n:1\r\n:2\r\n',
  'a list with a time that no clock shows': `*2\r\n:1\r\n${bulk('soon')}`,
  'a list in a list': '*1\r\n*1\r\n*1\r\n$1\r\nx\r\n',
  'frames without end': `*3\r\n${bulk('0'.repeat(32)).repeat(2)}*1\r\n*1\r\n:1\r\n`,
  'that the key is elsewhere': '-MOVED 1 127.0.0.1:1\r\n',
};

describe('What is taken for a Redis', () => {
  let redis: OddRedis;
  let upstream: Upstream;
  let gateway: Gateway;
  let question = 0;

  before(async () => {
    redis = await OddRedis.start();
    upstream = await Upstream.start();
    gateway = await Gateway.start({
      settings: {
        stores: {
          shared: { type: 'redis', url: redis.url },
          tiered: { type: 'tiered', near: 'memory', far: 'shared' },
        },
        usage: { ledger: { store: 'shared' }, sinks: [{ type: 'redis', store: 'shared' }] },
      },
      gateway: gatewayConfig(upstream.url, {
        shared: both({ store: 'shared' }),
        tiered: both({ store: 'tiered', staleIfError: 60 }),
      }),
    });
  });
  after(async () => {
    await gateway.stop();
    await upstream.close();
    await redis.close();
  });

  for (const [what, answer] of Object.entries(nonsense)) {
    it(`The gateway gives every client the provider’s answer while its Redis answers ${what} to everything`, async () => {
      redis.answer = () => answer;
      const asked = redis.commands.length;
      for (const pipeline of ['shared', 'tiered']) {
        const url = `${gateway.url}/${pipeline}/v1/chat/completions`;
        const body = { model: `m${question++}`, messages: [] };
        upstream.answer(json(answers.chat.json));
        expect((await post(url, body)).text).to.equal(answers.chat.json);
        upstream.answer(sse(answers.chat.sse));
        expect((await post(url, { ...body, stream: true })).text).to.equal(answers.chat.sse);
      }
      await eventually(() => redis.commands.length > asked, 'it was asked');
      expect(gateway.child.exitCode).to.equal(null);
    });
  }

  it('A Redis that answers nonsense costs the ledger no sum, and fails no sink', () => {
    expect(gateway.log).to.not.match(/a sink failed|could not be recorded/);
  });
});
