import { Gateway } from '../../test/support/gateway.ts';
import { open, read } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { Upstream } from '../../test/support/upstream.ts';
import { chat, type Finding, pause, percentile, streamOf } from './scenario.ts';

const readers = 1000;
const chunks = streamOf(Array.from({ length: 60 }, (_, index) => `word ${index} `));

/** A thousand clients request one stream: half before its first word, half while it is under way. */
export async function crowd(): Promise<Finding> {
  const upstream = await Upstream.start();
  upstream.answer(async (_request, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of chunks) {
      res.write(chunk);
      await pause(100);
    }
    res.end();
  });
  const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
  const url = `${gateway.url}/api/v1/chat/completions`;
  const firstBytes: number[] = [];
  let equal = 0;
  const one = async (isLate: boolean) => {
    const startedAt = performance.now();
    const { response } = await open(url, chat({ stream: true }));
    if (isLate) firstBytes.push(performance.now() - startedAt);
    if ((await read(response)).text === chunks.join('')) equal++;
  };
  const all: Promise<void>[] = [];
  for (let count = 0; count < readers / 2; count++) all.push(one(false));
  await pause(1500);
  // Spread out, so that the timing covers the cache, not the queue of connections.
  for (let count = 0; count < readers / 2; count++) {
    all.push(one(true));
    if (count % 5 === 0) await pause(25);
  }
  await Promise.all(all);
  const calls = upstream.requests.length;
  await gateway.stop();
  await upstream.close();
  return {
    what: `${readers} concurrent identical streams, half of them late`,
    figures: `${calls} upstream call; ${equal} readers got every byte; first byte of a late reader after ${percentile(firstBytes, 0.5).toFixed(1)} ms (median), ${percentile(firstBytes, 0.99).toFixed(0)} ms (p99)`,
    held: calls === 1 && equal === readers,
  };
}
