import { Redis } from 'ioredis';
import { Gateway } from '../../test/support/gateway.ts';
import { post } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { RedisServer } from '../../test/support/redis-server.ts';
import { json, Upstream } from '../../test/support/upstream.ts';
import { answerTo, chat, type Finding, pause, streamOf } from './scenario.ts';

const settings = (redis: RedisServer) => ({
  scopeSecret: 'of both',
  stores: { shared: { type: 'redis', url: redis.url } },
  usage: { sinks: [] },
});

/** Redis freezes, or is lost, while clients of one gateway read along with another gateway's call. */
export async function hesitation(): Promise<Finding> {
  const pauses = [150, 500, 2000, 5000, Infinity];
  const chunks = streamOf(Array.from({ length: 8 }, (_, index) => `word ${index} `));
  const wholes: number[] = [];
  let looksWhole = 0;
  let calls = 0;
  let leads = 0;
  for (const ms of pauses) {
    const redis = await RedisServer.start();
    const upstream = await Upstream.start();
    upstream.answer(async (_request, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const chunk of chunks) {
        res.write(chunk);
        await pause(250);
      }
      res.end();
    });
    const config = {
      settings: settings(redis),
      gateway: gatewayConfig(upstream.url, { api: both({ store: 'shared' }) }),
    };
    const gateways = [await Gateway.start(config), await Gateway.start(config)] as const;
    const ask = (gateway: Gateway) =>
      post(`${gateway.url}/api/v1/chat/completions`, chat({ stream: true }));
    const lead = ask(gateways[0]);
    await pause(300);
    const along = Array.from({ length: 10 }, () => ask(gateways[1]));
    await pause(600);
    redis.freeze();
    const thaw = ms === Infinity ? undefined : setTimeout(() => redis.thaw(), ms);
    const replies = await Promise.all(along);
    if ((await lead).text === chunks.join('')) leads++;
    clearTimeout(thaw);
    wholes.push(replies.filter(({ text, broken }) => !broken && text === chunks.join('')).length);
    looksWhole += replies.filter(({ text, broken }) => !broken && text !== chunks.join('')).length;
    calls += upstream.requests.length;
    for (const gateway of gateways) await gateway.stop('SIGKILL');
    await upstream.close();
    await redis.close();
  }
  const lost = wholes.at(-1) ?? 0;
  const borne = wholes.slice(0, -1);
  return {
    what: 'Redis frozen for 0.15, 0.5, 2 and 5 s, and permanently, in the middle of a stream that 10 clients of another gateway read along',
    figures: `${borne.join(', ')} of 10 readers got every byte, ${lost} when it was lost permanently, and the others were cut off; ${looksWhole} truncated answers looked whole; the ${pauses.length} clients that led got ${leads === pauses.length ? 'every byte' : 'LESS'}; ${calls} upstream calls`,
    held: borne.every((count) => count === 10) && looksWhole === 0 && leads === pauses.length,
  };
}

/** Entries in Redis are changed, cut, extended or replaced. Each must become a miss and be replaced. */
export async function damage(): Promise<Finding> {
  const redis = await RedisServer.start();
  const upstream = await Upstream.start();
  const answer = answerTo('hello');
  upstream.answer(json(answer));
  const gateway = await Gateway.start({
    settings: settings(redis),
    gateway: gatewayConfig(upstream.url, { api: both({ store: 'shared' }) }),
  });
  const client = new Redis(redis.url);
  const ask = () => post(`${gateway.url}/api/v1/chat/completions`, chat({}));
  const hit = async () => {
    for (let count = 0; count < 100; count++) {
      const reply = await ask();
      if (reply.headers['x-cache'] !== undefined) return true;
      await pause(10);
    }
    return false;
  };
  await hit();
  await pause(100);
  const [name = ''] = await client.keys('*entry:*');
  const stored = await client.getBuffer(name);
  if (stored === null) throw new Error('nothing is stored');
  const damaged: Buffer[] = [];
  for (let at = 0; at < stored.length; at++) {
    const copy = Buffer.from(stored);
    copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
    damaged.push(copy);
  }
  for (const bytes of [1, 20, 100]) damaged.push(stored.subarray(0, -bytes));
  damaged.push(Buffer.concat([stored, Buffer.from('more')]), Buffer.from('{}'), Buffer.alloc(1e6));
  let served = 0;
  let failed = 0;
  for (const bytes of damaged) {
    const calls = upstream.requests.length;
    await client.set(name, bytes, 'PX', 60_000);
    const reply = await ask();
    if (reply.text !== answer || reply.status !== 200) failed++;
    if (upstream.requests.length === calls) served++;
    // Wait for the write: an entry that is still queued for Redis would answer.
    await pause(5);
  }
  const isMended = await hit();
  client.disconnect();
  await gateway.stop();
  await upstream.close();
  await redis.close();
  return {
    what: `an entry in Redis with each of its ${stored.length} bytes damaged, truncated, extended or replaced, ${damaged.length} ways in all`,
    figures: `${failed} wrong answers; ${served} answered from writes still waiting for Redis; ${isMended ? 'repaired by itself' : 'NOT repaired'}`,
    held: failed === 0 && isMended,
  };
}
