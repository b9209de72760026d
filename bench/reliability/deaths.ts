import type net from 'node:net';
import { Gateway } from '../../test/support/gateway.ts';
import { post, type Reply } from '../../test/support/http.ts';
import { both, gatewayConfig } from '../../test/support/pipelines.ts';
import { deaths as ways, head, RawUpstream } from '../../test/support/raw-upstream.ts';
import { chat, type Finding, streamOf } from './scenario.ts';

const [first = '', ...rest] = streamOf(['one ', 'two ', 'three ']);
const whole = first + rest.join('');
const sse = 'Content-Type: text/event-stream';

/** The stage of an answer at which the upstream dies. */
type Stage = (way: (typeof ways)[string], socket: net.Socket) => void;

const stages: readonly Stage[] = [
  // Before the head.
  ({ die }, socket) => die(socket),
  // Between the head and the first byte of the body.
  ({ framing, die }, socket) =>
    void socket.write(head(sse, framing), () => setTimeout(() => die(socket), 10)),
  // In the middle of the stream.
  ({ framing, carry, die }, socket) =>
    void socket.write(head(sse, framing) + carry(first), () => setTimeout(() => die(socket), 10)),
  // After more bytes than it declared.
  (_way, socket) =>
    void socket.end(`${head(sse, `Content-Length: ${first.length}`)}${first}${rest.join('')}`),
];

/** The upstream dies in every way, at every stage. No truncated answer may look complete. */
export async function deaths(): Promise<Finding> {
  const upstream = await RawUpstream.start();
  const gateway = await Gateway.start({
    gateway: gatewayConfig(upstream.url, {
      usage: [{ 'llm-usage': {} }],
      cache: [{ 'llm-cache': {} }],
      both: both(),
    }),
  });
  let answers = 0;
  let halves = 0;
  let broken = 0;
  let refused = 0;
  const take = (reply: Reply | null) => {
    answers++;
    if (reply === null || reply.broken) broken++;
    else if (reply.status === 502) refused++;
    else if (reply.text !== whole) halves++;
  };
  for (let round = 0; round < 10; round++) {
    for (const way of Object.values(ways)) {
      for (const stage of stages) {
        upstream.does((socket) => stage(way, socket));
        for (const pipeline of ['usage', 'cache', 'both']) {
          const body = chat({ stream: true, user: `u${answers}` });
          const ask = () => post(`${gateway.url}/${pipeline}/v1/chat/completions`, body);
          // One request leads, two join it, and one comes after the call has ended.
          const crowd = [ask(), ask(), ask()].map((one) => one.catch(() => null));
          for (const reply of await Promise.all(crowd)) take(reply);
          take(await ask().catch(() => null));
        }
      }
    }
  }
  const lives = gateway.child.exitCode === null;
  const faults = gateway.log.match(/unhandled|TypeError|ERR_/g)?.length ?? 0;
  await gateway.stop();
  await upstream.close();
  return {
    what: `${answers} answers of an upstream that closes, resets, breaks its framing or exceeds its length, at every stage`,
    figures: `${halves} truncated answers that looked whole; ${broken} were cut off, ${refused} ended in a 502; ${faults} faults in the log`,
    held: lives && halves === 0 && faults === 0 && broken > 0 && refused > 0,
  };
}
