import net from 'node:net';
import { expect } from 'chai';
import { answers } from '../../support/answers.ts';
import { Gateway } from '../../support/gateway.ts';
import { both, gatewayConfig } from '../../support/pipelines.ts';
import { json, Upstream } from '../../support/upstream.ts';

describe('A request whose target is in absolute form', () => {
  it('The gateway shows credentials in an absolute request target in no record, log or admin route', async () => {
    const upstream = await Upstream.start();
    upstream.answer(json(answers.chat.json));
    const gateway = await Gateway.start({
      gateway: gatewayConfig(upstream.url, { api: both() }),
    });
    const body = '{"model":"absolute","messages":[]}';
    const target = 'http://ann:hunter2@api.example/api/v1/chat/completions?key=hunter3';
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
      socket.on('close', () => resolve(text));
      socket.write(
        `POST ${target} HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
    });
    expect(answer).to.contain('Cache-Status: llm-cache; fwd=miss');
    const [record] = await gateway.recorded('absolute', 1);
    expect(record?.endpoint).to.equal('/api/v1/chat/completions');
    const routes = ['stats', 'usage', 'entries', 'metrics'];
    const shown = await Promise.all(
      routes.map(async (route) => (await fetch(`${gateway.adminUrl}/llm-cache/${route}`)).text()),
    );
    expect(shown[2]).to.contain('absolute');
    for (const text of [gateway.log, ...shown]) expect(text).to.not.match(/hunter|ann:/);
    await gateway.stop();
    await upstream.close();
  });
});
