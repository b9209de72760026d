import http from 'node:http';
import { Gateway } from '../../test/support/gateway.ts';
import { eventually } from '../../test/support/eventually.ts';
import { post } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { type Answer, json, sse, Upstream } from '../../test/support/upstream.ts';
import { chat, type Finding, pause, streamOf } from './scenario.ts';

const stream = streamOf(['one ', 'two ', 'three ']);
const whole = stream.join('');

const bad: readonly Answer[] = [
  (_request, res) => void res.destroy(),
  (_request, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(stream[0], () => setTimeout(() => res.destroy(), 5));
  },
  sse(stream.slice(0, -1).join('')),
  json('{"error":{"message":"overloaded"}}', {}, 529),
  json('{"id":"chatcmpl-bench","choices":[{"ind'),
];

/** Every second answer of the upstream is truncated, reset or an error. Stored answers must be complete. */
export async function lies(): Promise<Finding> {
  const upstream = await Upstream.start();
  let calls = 0;
  upstream.answer((request, res) => {
    const at = calls++;
    const answer = at % 2 === 0 ? bad[(at / 2) % bad.length] : sse(whole);
    return answer?.(request, res);
  });
  const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
  const url = `${gateway.url}/api/v1/chat/completions`;
  let hits = 0;
  let halves = 0;
  const rounds = 600;
  for (let at = 0; at < rounds; at++) {
    const reply = await post(url, chat({ stream: true, user: `u${at % 200}` }));
    if (reply.headers['x-cache'] === undefined) continue;
    hits++;
    if (reply.text !== whole || reply.broken) halves++;
  }
  const faults = gateway.log.match(/unhandled|TypeError/gi)?.length ?? 0;
  await gateway.stop();
  await upstream.close();
  return {
    what: `an upstream that resets, truncates or fails every second of ${calls} answers`,
    figures: `${hits} answers from the cache, ${halves} of them incomplete; ${faults} faults in the log`,
    held: halves === 0 && hits > 0 && faults === 0,
  };
}

/** Clients leave at every stage of a stream. Their calls must end, and later requests must be served. */
export async function leavers(): Promise<Finding> {
  const upstream = await Upstream.start();
  let open = 0;
  upstream.answer(async (_request, res) => {
    open++;
    res.on('close', () => open--);
    await pause(20);
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of stream) {
      res.write(chunk);
      await pause(20);
    }
    res.end();
  });
  const gateway = await Gateway.start({ gateway: gatewayConfig(upstream.url, { api: both() }) });
  const url = `${gateway.url}/api/v1/chat/completions`;
  const clients = 300;
  for (let at = 0; at < clients; at++) {
    const request = http.request(url, { method: 'POST', agent: false });
    request.on('error', () => {});
    request.on('response', (response) => response.on('error', () => {}).resume());
    request.end(JSON.stringify(chat({ stream: true, user: `u${at}` })));
    setTimeout(() => request.destroy(), at % 130);
    await pause(3);
  }
  await eventually(() => open === 0, 'every call has ended', 30_000);
  const ended = upstream.requests.filter(({ aborted }) => aborted).length;
  const after = await post(url, chat({ stream: true, user: 'after' }));
  let halves = 0;
  for (let at = 0; at < clients; at++) {
    const reply = await post(url, chat({ stream: true, user: `u${at}` }), {
      headers: { 'cache-control': 'only-if-cached' },
    });
    if (reply.status === 200 && reply.text !== whole) halves++;
  }
  await gateway.stop();
  await upstream.close();
  return {
    what: `${clients} clients that leave at every stage of a stream`,
    figures: `${ended} upstream calls ended early; ${halves} truncated answers stored`,
    held: halves === 0 && ended > 0 && after.text === whole,
  };
}
