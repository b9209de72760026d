import type { Row, Table } from '../tools/figures.ts';
import { hasNginx, Nginx } from '../tools/nginx.ts';
import { plugin, Site, store } from '../tools/site.ts';
import { versus } from '../tools/versus.ts';
import { cells, columns, nameOf } from './hit.ts';

/** Compares hits with those of nginx, as a reference for C code. */
export async function nginx(): Promise<Table | string> {
  if (!hasNginx()) return 'there is no nginx (Debian: apt-get install nginx-light)';
  return Site.with(async (site) => {
    const gateway = await site.gateway({ both: plugin });
    const server = await Nginx.start(site.provider.url);
    try {
      const rows: Row[] = [];
      for (const [bytes, size] of [
        [300, 2048],
        [8192, 2048],
        [300, 65_536],
      ] as const) {
        const wanted = { bytes: size, stream: false };
        const order = gateway.hit('both', bytes, wanted);
        const { pathname, search } = new URL(order.url);
        const other = { ...order, url: `${server.url}${pathname}${search}`, cache: 'HIT' };
        await store(order);
        await store(other);
        const [ours, theirs] = await versus(site.client, [
          { order, pid: gateway.pid },
          { order: other, pid: server.pid },
        ]);
        rows.push({ what: nameOf(bytes, wanted), cells: cells(ours, theirs) });
      }
      return {
        title: 'Nginx',
        note: 'Hits against those of nginx with one worker and `proxy_cache`, the POST body in its key, 16 connections. It stands for what C can do: it knows nothing of consumers, JSON, streams or usage, and what asks is busier than what answers.',
        columns: columns('hit'),
        rows,
        bar: 0,
      };
    } finally {
      await server.stop();
    }
  });
}
