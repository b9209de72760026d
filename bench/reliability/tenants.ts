import { Gateway } from '../../test/support/gateway.ts';
import { post } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { json, sse, Upstream } from '../../test/support/upstream.ts';
import { answerTo, chat, type Finding, streamOf } from './scenario.ts';

const requests = 10_000;
const consumers = 50;
const questions = 20;
const concurrency = 50;

/** Fifty consumers ask the same questions. Every answer names its consumer, so a crossed scope shows. */
export async function tenants(): Promise<Finding> {
  const upstream = await Upstream.start();
  upstream.answer((request, res) => {
    const words = [
      `for ${String(request.headers['x-who'])}, `,
      `about ${String(request.headers['x-what'])}`,
    ];
    const isStream = request.body.includes('"stream":true');
    const answer = isStream ? sse(streamOf(words).join('')) : json(answerTo(words.join('')));
    return answer(request, res);
  });
  const gateway = await Gateway.start({
    gateway: gatewayConfig(upstream.url, { api: [{ 'key-auth': {} }, ...both()] }),
  });
  const keys: string[] = [];
  for (let who = 0; who < consumers; who++) {
    keys.push((await gateway.createConsumer(`consumer${who}`)).apiKey);
  }
  const url = `${gateway.url}/api/v1/chat/completions`;
  let sent = 0;
  let crossed = 0;
  let failed = 0;
  let fromCache = 0;
  const worker = async () => {
    while (sent < requests) {
      const at = sent++;
      const who = (at * 7919) % consumers;
      const what = (at * 104_729) % questions;
      const body = chat({ user: `question ${what}`, stream: at % 3 === 0 });
      const reply = await post(url, body, {
        headers: { authorization: `apiKey ${keys[who]}`, 'x-who': `w${who}`, 'x-what': `q${what}` },
      });
      if (reply.status !== 200 || reply.broken) failed++;
      else if (!reply.text.includes(`for w${who}, `) || !reply.text.includes(`about q${what}"`))
        crossed++;
      if (reply.headers['x-cache'] !== undefined) fromCache++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  const calls = upstream.requests.length;
  await gateway.stop();
  await upstream.close();
  return {
    what: `${requests} mixed requests of ${consumers} consumers who ask the same ${questions} questions`,
    figures: `${crossed} answers crossed a scope; ${failed} failed; ${fromCache} from the cache, ${calls} upstream calls`,
    held: crossed === 0 && failed === 0 && calls + fromCache === requests,
  };
}
