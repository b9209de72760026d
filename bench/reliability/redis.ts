import { Gateway } from '../../test/support/gateway.ts';
import { post } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { json, Upstream } from '../../test/support/upstream.ts';
import { answerTo, chat, type Finding, pause } from './scenario.ts';

/** Runs a gateway with its own Redis under a hundred requests per second, through `trouble` and `relief`. */
async function underLoad(
  what: string,
  trouble: (redis: RedisServer) => Promise<void>,
  relief: (redis: RedisServer) => Promise<void>,
): Promise<Finding> {
  const redis = await RedisServer.start();
  const upstream = await Upstream.start();
  upstream.answer(json(answerTo('hello')));
  const gateway = await Gateway.start({
    settings: { stores: { shared: { type: 'redis', url: redis.url } } },
    gateway: gatewayConfig(upstream.url, { api: both({ store: 'shared' }) }),
  });
  const url = `${gateway.url}/api/v1/chat/completions`;
  let failed = 0;
  let asked = 0;
  let slow = 0;
  const ask = async () => {
    const startedAt = performance.now();
    const reply = await post(url, chat({ user: `u${asked++ % 5}` }));
    if (reply.status !== 200 || reply.text !== answerTo('hello')) failed++;
    if (performance.now() - startedAt > 90) slow++;
    return reply.headers['x-cache'];
  };
  const load = async (count: number) => {
    const all = [];
    for (let at = 0; at < count; at++) {
      all.push(ask());
      await pause(10);
    }
    await Promise.all(all);
  };
  await load(50);
  await trouble(redis);
  slow = 0;
  await load(300);
  const waited = slow;
  await relief(redis);
  const backAt = performance.now();
  while ((await ask()) === undefined && performance.now() - backAt < 10_000) await pause(20);
  const usedAgain = (performance.now() - backAt) / 1000;
  const said = gateway.log.match(/does not answer|answers again/g)?.length ?? 0;
  await gateway.stop();
  await upstream.close();
  await redis.close();
  return {
    what,
    figures: `${asked} requests, ${failed} failed; ${waited} of 300 waited for the timeout; used again after ${usedAgain.toFixed(1)} s; ${said} lines in the log`,
    held: failed === 0 && usedAgain < 3,
  };
}

export const frozen = (): Promise<Finding> =>
  underLoad(
    'Redis frozen (SIGSTOP) under load, and thawed',
    async (redis) => redis.freeze(),
    async (redis) => redis.thaw(),
  );

export const killed = (): Promise<Finding> =>
  underLoad(
    'Redis killed under load, and started again',
    (redis) => redis.kill(),
    (redis) => redis.run(),
  );
