import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { pause } from '../reliability/scenario.ts';
import { answer } from './messages.ts';
import { ending, stampedEvent } from './stamps.ts';

// The process of the stand-in for a provider. The query selects the answer: `?bytes=2048&stream=0`
// that many bytes at once, `?events=10&gap=3` stamped events, `gap` milliseconds apart. GET returns
// the number of calls.

type Answer = (res: http.ServerResponse) => void | Promise<void>;

const answers = new Map<string, Answer>();
let calls = 0;

function answerTo(url: string): Answer {
  let known = answers.get(url);
  if (known === undefined) answers.set(url, (known = makeAnswer(new URL(url, 'http://x'))));
  return known;
}

function makeAnswer({ searchParams: wanted }: URL): Answer {
  const stream = wanted.get('stream') === '1' || wanted.has('events');
  const head = { 'content-type': stream ? 'text/event-stream; charset=utf-8' : 'application/json' };
  const [events, gap] = [Number(wanted.get('events')), Number(wanted.get('gap'))];
  if (events > 0) {
    return async (res) => {
      res.writeHead(200, head);
      for (let event = 0; event < events; event++) {
        if (event > 0) await pause(gap);
        res.write(stampedEvent());
      }
      res.end(ending.join(''));
    };
  }
  const body = Buffer.from(answer({ bytes: Number(wanted.get('bytes')), stream }));
  return (res) => {
    res.writeHead(200, stream ? head : { ...head, 'content-length': body.length });
    res.end(body);
  };
}

const server = http.createServer((req, res) => {
  if (req.method === 'GET') {
    res.end(String(calls));
    return;
  }
  calls++;
  req.resume().once('end', () => void answerTo(req.url ?? '')(res));
});
server.keepAliveTimeout = 0;
server.listen(0, '127.0.0.1', 2048, () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
