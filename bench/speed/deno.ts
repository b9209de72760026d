import type { Row, Table } from '../tools/figures.ts';
import { plugin, Site, store } from '../tools/site.ts';
import { versus } from '../tools/versus.ts';
import { cells, columns } from './hit.ts';

const wanted = { bytes: 2048, stream: false };

/** Compares the gateway under Deno with the same gateway under Node. */
export function deno(): Promise<Table> {
  return Site.with(async (site) => {
    const pipelines = { both: plugin, plain: [] };
    const gateways = [
      await site.gateway(pipelines, { runtime: 'deno' }),
      await site.gateway(pipelines),
    ] as const;
    const rows: Row[] = [];
    const compare = async (what: string, orders: ReturnType<typeof ordersOf>) => {
      const sides = orders.map((order, at) => ({ order, pid: gateways[at]?.pid }));
      const [ours, theirs] = await versus(site.client, sides);
      if (ours !== undefined && theirs !== undefined) {
        rows.push({ what, cells: cells(ours, theirs) });
      }
    };
    const ordersOf = (kind: 'hit' | 'miss', pipeline: string) =>
      gateways.map((gateway) => gateway[kind](pipeline, 300, wanted));
    const hits = ordersOf('hit', 'both');
    for (const order of hits) await store(order);
    await compare('hit', hits);
    await compare('miss', ordersOf('miss', 'both'));
    await compare('proxy without the plugin', ordersOf('miss', 'plain'));
    return {
      title: 'Deno',
      note: 'The same gateway under Deno against itself under Node, 300 B → 2 KiB JSON, 16 connections.',
      columns: columns('request under Deno'),
      rows,
      bar: 0,
    };
  });
}
