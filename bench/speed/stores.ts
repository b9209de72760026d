import { hasRedis, RedisServer } from '../../test/support/redis-server.ts';
import type { Row, Table } from '../tools/figures.ts';
import { Site, store } from '../tools/site.ts';
import { versus } from '../tools/versus.ts';
import { cells, columns, nameOf } from './hit.ts';

const names = ['memory', 'near', 'shared'] as const;
const titles = { memory: 'memory', near: 'tiered', shared: 'redis' };

/** Compares hits from a Redis and a tiered store with hits from memory, in the same process. */
export async function stores(): Promise<Table | string> {
  if (!hasRedis()) return 'there is no redis-server (Debian: apt-get install redis-server)';
  const redis = await RedisServer.start();
  try {
    return await Site.with((site) => measure(site, redis.url));
  } finally {
    await redis.close();
  }
}

async function measure(site: Site, url: string): Promise<Table> {
  const pipelines = Object.fromEntries(
    names.map((name) => [
      name,
      [{ 'llm-usage': {} }, { 'llm-cache': { action: { store: name } } }],
    ]),
  );
  const settings = {
    usage: { sinks: [] },
    stores: {
      shared: { type: 'redis', url },
      near: { type: 'tiered', near: 'memory', far: 'shared', nearTtl: 3600 },
    },
  };
  const gateway = await site.gateway(pipelines, { settings });
  const rows: Row[] = [];
  for (const bytes of [2048, 65_536]) {
    const wanted = { bytes, stream: false };
    const sides = names.map((name) => ({
      order: gateway.hit(name, 300, wanted),
      pid: gateway.pid,
    }));
    for (const { order } of sides) await store(order);
    const [inMemory, ...others] = await versus(site.client, sides);
    for (const [at, rounds] of others.entries()) {
      const name = names[at + 1];
      if (inMemory === undefined || name === undefined) continue;
      rows.push({
        what: `${titles[name]}, ${nameOf(300, wanted)}`,
        cells: cells(rounds, inMemory),
      });
    }
  }
  return {
    title: 'Stores',
    note: 'Hits from a tiered store and from a Redis on the same machine, against hits from memory in the same process, 16 connections; every answer is checked to be a hit.',
    columns: columns('hit'),
    rows,
    bar: 0,
  };
}
