import {
  median,
  ms,
  perSecond,
  ratio,
  rounds,
  type Row,
  spread,
  type Table,
  us,
} from '../tools/figures.ts';
import { answer, type Wanted } from '../tools/messages.ts';
import { type Entrance, plugin, Site, store } from '../tools/site.ts';
import { type Rounds, versus } from '../tools/versus.ts';

const answers: readonly Wanted[] = [2048, 65_536].flatMap((bytes) =>
  [false, true].map((stream) => ({ bytes, stream })),
);
const requests = [300, 8192, 262_144];

const terminateOf = ({ bytes, stream }: Wanted) => `terminate-${bytes}-${stream}`;

/** Returns pipelines in which the gateway's own `terminate` policy answers with the same bytes. */
function terminates() {
  return Object.fromEntries(
    answers.map((wanted) => [
      terminateOf(wanted),
      [{ terminate: { action: { statusCode: 200, message: answer(wanted) } } }],
    ]),
  );
}

/** Compares hits with the gateway's `terminate` policy, for the same bytes in the same process. */
export function hit(): Promise<Table> {
  return Site.with(async (site) => {
    const pipelines = { both: plugin, cache: [{ 'llm-cache': {} }], ...terminates() };
    const gateway = await site.gateway(pipelines);
    const logging = await site.gateway(pipelines, { settings: {} });
    const rows: Row[] = [];
    const compare = async (
      what: string,
      at: Entrance,
      pipeline: string,
      bytes: number,
      wanted: Wanted,
      gzip = false,
    ) => {
      const target = { ...at.hit(pipeline, bytes, wanted), gzip };
      await store(target);
      const other = { ...at.hit(terminateOf(wanted), bytes, wanted), cache: null };
      const isMain = bytes === 300 && wanted.bytes === 2048;
      const [ours, theirs] = await versus(
        site.client,
        [
          { order: target, pid: at.pid },
          { order: other, pid: at.pid },
        ],
        { times: isMain ? rounds + 2 : rounds },
      );
      rows.push({ what, cells: cells(ours, theirs) });
    };
    for (const wanted of answers) {
      for (const bytes of requests) {
        await compare(nameOf(bytes, wanted), gateway, 'both', bytes, wanted);
        const name = nameOf(bytes, wanted);
        if (bytes === 300 && wanted.bytes === 65_536 && wanted.stream) {
          await compare(`${name}, as gzip`, gateway, 'both', bytes, wanted, true);
        }
        if (bytes !== 300 || wanted.bytes !== 2048 || wanted.stream) continue;
        await compare(`${name}, llm-cache alone`, gateway, 'cache', bytes, wanted);
        await compare(`${name}, with the log sink`, logging, 'both', bytes, wanted);
      }
    }
    return {
      title: 'Hits',
      note: 'llm-usage and llm-cache answering from memory, against the gateway’s own `terminate` with the same bytes in the same process, 16 connections. Every answer is checked for status, length and X-Cache, each 64th byte for byte. “As gzip”: to a client that accepts it, which `terminate` does not heed.',
      columns: columns('hit'),
      rows,
      bar: 0,
    };
  });
}

export function nameOf(bytes: number, wanted: Wanted): string {
  return `${sizeOf(bytes)} → ${sizeOf(wanted.bytes)} ${wanted.stream ? 'stream' : 'JSON'}`;
}

export function sizeOf(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 2 ** 20 ? `${bytes / 1024} KiB` : `${bytes / 2 ** 20} MiB`;
}

/** Returns the columns of `cells`: each ratio is followed by our absolute value. */
export function columns(what: string): Table['columns'] {
  return [
    'request → answer',
    'throughput',
    `of a ${what}`,
    'p99',
    `of a ${what}`,
    'processor time',
    `of a ${what}`,
  ];
}

export function cells(ours: Rounds, theirs: Rounds): Row['cells'] {
  return [
    ratio(ours.perSecond, theirs.perSecond),
    spread([median(ours.perSecond)], perSecond),
    ratio(ours.p99, theirs.p99),
    spread([median(ours.p99)], ms),
    ratio(ours.cpu, theirs.cpu),
    spread([median(ours.cpu)], us),
  ];
}
