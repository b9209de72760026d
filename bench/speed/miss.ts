import { must, type Row, type Table } from '../tools/figures.ts';
import type { Wanted } from '../tools/messages.ts';
import { plugin, Site } from '../tools/site.ts';
import { versus } from '../tools/versus.ts';
import { cells, columns, nameOf } from './hit.ts';

const kinds: readonly (readonly [request: number, wanted: Wanted])[] = [
  [300, { bytes: 2048, stream: false }],
  [8192, { bytes: 2048, stream: false }],
  [300, { bytes: 2048, stream: true }],
  [8192, { bytes: 65_536, stream: false }],
];

/** Compares misses with the same pipeline without the plugin. Every request differs. */
export function miss(): Promise<Table> {
  return Site.with(async (site) => {
    const gateway = await site.gateway({ both: plugin, plain: [] });
    const rows: Row[] = [];
    for (const [bytes, wanted] of kinds) {
      const callsBefore = await site.provider.calls();
      const [ours, theirs] = await versus(site.client, [
        { order: gateway.miss('both', bytes, wanted), pid: gateway.pid },
        { order: gateway.miss('plain', bytes, wanted), pid: gateway.pid },
      ]);
      must((await site.provider.calls()) > callsBefore + 100, 'every request reaches the provider');
      rows.push({ what: nameOf(bytes, wanted), cells: cells(ours, theirs) });
    }
    return {
      title: 'Misses',
      note: 'A pipeline with llm-usage and llm-cache against the same one without them, 16 connections, every request a different one, every answer checked for status, length and no X-Cache.',
      columns: columns('miss'),
      rows,
      bar: 0,
    };
  });
}
