import process from 'node:process';
import { Gateway } from '../../test/support/gateway.ts';
import { open, post } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { json, sse, Upstream } from '../../test/support/upstream.ts';
import { rssOf } from './process.ts';
import { answerTo, chat, type Finding, pause, streamOf } from './scenario.ts';

const seconds = Number(process.env['SOAK_SECONDS'] ?? 180);

/** Hits, misses, joiners, leaving clients and evictions for some minutes. Resident memory must level off. */
export async function soak(): Promise<Finding> {
  const upstream = await Upstream.start();
  const words = streamOf(Array.from({ length: 50 }, (_, at) => `word ${at} `)).join('');
  upstream.answer((request, res) => {
    const answer = request.body.includes('"stream":true')
      ? sse(words)
      : json(answerTo('x'.repeat(2000)));
    return answer(request, res);
  });
  const gateway = await Gateway.start({
    settings: { stores: { memory: { type: 'memory', maxBytes: 8_000_000 } } },
    gateway: gatewayConfig(upstream.url, { api: both() }),
  });
  const url = `${gateway.url}/api/v1/chat/completions`;
  const endsAt = Date.now() + seconds * 1000;
  const rss: number[] = [];
  let asked = 0;
  let failed = 0;
  const worker = async () => {
    while (Date.now() < endsAt) {
      const at = asked++;
      const body = chat({ user: `u${at % 3 === 0 ? at : at % 500}`, stream: at % 2 === 0 });
      if (at % 50 === 0) {
        const { request, response } = await open(url, body);
        response.on('error', () => {});
        request.destroy();
      } else if ((await post(url, body)).status !== 200) {
        failed++;
      }
      upstream.requests.length = 0;
    }
  };
  const meter = async () => {
    while (Date.now() < endsAt) {
      await pause(1000);
      rss.push(rssOf(gateway.child.pid));
    }
  };
  await Promise.all([meter(), ...Array.from({ length: 8 }, worker)]);
  const faults = gateway.log.match(/unhandled|TypeError|Warning/g)?.length ?? 0;
  await gateway.stop();
  await upstream.close();
  const third = Math.floor(rss.length / 3);
  const mean = (values: readonly number[]) =>
    values.reduce((sum, one) => sum + one, 0) / values.length;
  const [second, last] = [mean(rss.slice(third, 2 * third)), mean(rss.slice(2 * third))];
  return {
    what: `a soak of ${seconds} s: hits, misses, evictions, leavers`,
    figures: `${asked} requests, ${failed} failed; resident memory ${second.toFixed(0)} MB in the second third, ${last.toFixed(0)} MB in the last; ${faults} faults in the log`,
    held: failed === 0 && faults === 0 && last < second * 1.1,
  };
}
