import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { eventually } from '../test/support/eventually.ts';
import { type CpuProfile, readProfile, type Shares } from './tools/cpu-profile.ts';
import type { Target } from './tools/orders.ts';
import { type Entrance, plugin, Site, store } from './tools/site.ts';

// Profiles the gateway under one kind of load: `npm run bench:profile -- hit`. Browser developer
// tools open the file whose name it prints. BENCH_SECONDS sets the duration of the profile.

const seconds = Number(process.env['BENCH_SECONDS'] ?? 6);
const answer = { bytes: 2048, stream: false };

const loads: Readonly<Record<string, (gateway: Entrance) => Target>> = {
  hit: (gateway) => gateway.hit('api', 300, answer),
  'hit-stream': (gateway) => gateway.hit('api', 300, { ...answer, stream: true }),
  'hit-large': (gateway) => gateway.hit('api', 262_144, answer),
  miss: (gateway) => gateway.miss('api', 300, answer),
  'miss-stream': (gateway) => gateway.miss('api', 300, { ...answer, stream: true }),
  proxy: (gateway) => gateway.miss('plain', 300, answer),
  terminate: (gateway) => ({ ...gateway.miss('terminate', 300, answer), body: null }),
};

// Node runs extra checks on the first ten thousand calls of a deprecated API that the gateway uses.
const warmUpRequests = 15_000;

async function main(): Promise<void> {
  const name = process.argv[2] ?? 'hit';
  const load = loads[name];
  if (load === undefined) throw new Error(`one of ${Object.keys(loads).join(', ')}`);
  const path = join(mkdtempSync(join(tmpdir(), 'llm-cache-profile-')), `${name}.cpuprofile`);
  const requests = await Site.with(async (site) => {
    const terminate = { terminate: { action: { statusCode: 200, message: 'x'.repeat(2048) } } };
    const preload = `--require=${resolve('bench/tools/profile-preload.cjs')}`;
    const gateway = await site.gateway(
      { api: plugin, plain: [], terminate: [terminate] },
      { env: { NODE_OPTIONS: preload, PROFILE_TO: path } },
    );
    const target = load(gateway);
    if (target.cache !== null) await store(target);
    const run = (time: number) => site.client.load({ ...target, connections: 16, seconds: time });
    for (let done = 0; done < warmUpRequests;) done += (await run(1)).perSecond;
    const toggle = () => process.kill(gateway.pid ?? 0, 'SIGUSR2');
    toggle();
    const { perSecond } = await run(seconds);
    toggle();
    await eventually(() => existsSync(path), 'the profile is written', 20_000);
    console.log(`${name}: ${Math.round(perSecond)}/s while profiled; ${path}`);
    return perSecond * seconds;
  });
  const reading = readProfile(JSON.parse(readFileSync(path, 'utf8')) as CpuProfile);
  const each = reading.busy / requests;
  console.log(`${Math.round(each)} µs of processor time per request`);
  const print = (title: string, shares: Shares, most: number) => {
    console.log(`\n${title}`);
    for (const [what, share] of shares.slice(0, most)) {
      const percent = (share * 100).toFixed(1).padStart(5);
      console.log(`${percent} %  ${(share * each).toFixed(1).padStart(6)} µs  ${what}`);
    }
  };
  print('by package', reading.groups, 12);
  print('by function, without its callees', reading.self, 25);
  print('by our function, with its callees in libraries, Node and V8', reading.caused, 25);
  print('by our function, with all callees', reading.total, 15);
}

void main();
