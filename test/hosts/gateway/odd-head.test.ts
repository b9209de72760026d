import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { post } from '../../support/http.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { chunk, head, RawUpstream } from '../../support/raw-upstream.ts';

describe('An upstream whose head cannot be passed on', () => {
  it('An upstream that sends a status message that no response may have gives a 502, and the gateway lives', async () => {
    const upstream = await RawUpstream.start();
    const pipelines = {
      usage: [{ 'llm-usage': {} }],
      cache: [{ 'llm-cache': {} }],
      both: both(),
      items: both({ perItem: true }),
      small: both({ maxRequestBytes: 10 }),
    };
    const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, pipelines) });
    try {
      for (const framing of ['Transfer-Encoding: chunked', 'Connection: close']) {
        const body = framing.startsWith('T') ? chunk(answers.chat.json) : answers.chat.json;
        const odd = head('Content-Type: application/json', framing).replace('OK', 'O\x01K');
        upstream.does((socket) => void socket.end(Buffer.from(odd + body, 'latin1')));
        for (const pipeline of Object.keys(pipelines)) {
          const url = `${gateway.url}/${pipeline}/v1/chat/completions`;
          for (const _ of [1, 2]) {
            const reply = await post(url, { model: 'm', messages: [] });
            expect(reply.status, pipeline).to.equal(502);
          }
        }
      }
      expect(gateway.child.exitCode).to.equal(null);
      expect(gateway.log).to.match(/a response could not be written: TypeError ERR_INVALID_CHAR/);
    } finally {
      await gateway.stop();
      await upstream.close();
    }
  });
});
