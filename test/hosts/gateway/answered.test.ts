import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { expect } from 'chai';
import { Flights } from '../../../policies/llm-cache/flights.ts';
import { llmCachePolicy } from '../../../policies/hosts/gateway/policies.ts';
import { CacheStats } from '../../../policies/llm-cache/stats.ts';
import { MemoryStore } from '../../../policies/llm-cache/stores/memory.ts';
import { ByteBudget } from '../../../policies/shared/bytes/budget.ts';
import { FaultLog } from '../../../policies/shared/faults.ts';
import { SharedBodies } from '../../../policies/shared/bytes/shared-bodies.ts';
import { nodeDigest } from '../../../policies/hosts/node/digest.ts';
import type { GatewayRequest } from '../../../policies/hosts/gateway/types.ts';
import { answers } from '../../support/answers.ts';
import { RecentRequests } from '../../../policies/hosts/node/recent-requests.ts';
import { eventually } from '../../support/eventually.ts';
import { post } from '../../support/http.ts';

describe('A response that another policy has ended', () => {
  const said: string[] = [];
  const rejected: unknown[] = [];
  const budget = new ByteBudget(1e7);
  let server: http.Server;
  let url: string;
  let late: http.ServerResponse | null = null;
  let passedOn = 0;
  let isOver = false;

  before(async () => {
    const store = new MemoryStore({ maxBytes: 1e6 });
    const flights = new Flights();
    const say = (text: string) => void said.push(text);
    const policy = llmCachePolicy(() => ({
      store: () => store,
      flights: () => flights,
      pipelineOf: () => 'pipeline',
      nextPolicy: () => null,
      forwardsHost: () => false,
      digest: nodeDigest('secret'),
      budget,
      reserve: new ByteBudget(0),
      bodies: new SharedBodies(budget),
      stats: new CacheStats(),
      requests: new RecentRequests(),
      timings: { lookup() {}, store() {}, firstByte() {} },
      faults: new FaultLog({ info: say, warn: say, error: say }),
    })).policy({});
    server = http.createServer((request, res) => {
      const req = Object.assign(request, { originalUrl: request.url, egContext: {} });
      if (req.headers['x-late'] !== undefined) late = res;
      const answer = () => {
        res.setHeader('content-type', 'application/json');
        res.end(answers.chat.json);
      };
      policy(req as unknown as GatewayRequest, res, answer);
      // As a policy in between does that has waited for something of its own.
      if (req.headers['x-again'] === undefined) return;
      res.on('close', () => {
        policy(req as unknown as GatewayRequest, res, () => void passedOn++);
        isOver = true;
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    url = `http://127.0.0.1:${port}/v1/chat/completions`;
    process.prependListener('unhandledRejection', onRejection);
  });
  after(() => {
    process.off('unhandledRejection', onRejection);
    server.closeAllConnections();
    server.close();
  });
  const onRejection = (error: unknown) => void rejected.push(error);

  it('The llm-cache policy leaves a response alone that has ended meanwhile, hit or miss', async () => {
    const known = JSON.stringify({ model: 'known', messages: [] });
    expect((await post(url, known)).status).to.equal(200);
    for (const text of [known, JSON.stringify({ model: 'new', messages: [] })]) {
      late = null;
      const slow = http.request(url, {
        method: 'POST',
        agent: new http.Agent({ keepAlive: true }),
        headers: {
          'content-type': 'application/json',
          'content-length': text.length,
          'x-late': '1',
        },
      });
      const answered = new Promise<http.IncomingMessage>((resolve) => slow.on('response', resolve));
      slow.write(text.slice(0, 5));
      await eventually(() => late !== null, 'the request has come');
      // As a timeout does, in the middle of the upload.
      const response = late as unknown as http.ServerResponse;
      response.statusCode = 503;
      response.end('too late');
      const { statusCode } = (await answered).resume();
      slow.end(text.slice(5));
      await eventually(() => budget.held === 0, 'the body is let go of');
      expect(statusCode).to.equal(503);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(rejected.map(String)).to.deep.equal([]);
    expect(said).to.deep.equal([]);
  });

  it('The llm-cache policy passes a request on to no further policy once its response is over', async () => {
    const body = { model: 'over', messages: [] };
    expect((await post(url, body, { headers: { 'x-again': '1' } })).status).to.equal(200);
    await eventually(() => isOver, 'the policy is asked again');
    expect(passedOn).to.equal(0);
  });
});
