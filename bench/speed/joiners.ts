import { percentile } from '../reliability/scenario.ts';
import { ms, must, ratio, spread, type Table } from '../tools/figures.ts';
import { question } from '../tools/messages.ts';
import type { CrowdResult } from '../tools/orders.ts';
import { plugin, Site } from '../tools/site.ts';
import { cpuSeconds } from '../tools/versus.ts';

const readers = 1000;
const events = 20;
const gap = 100;
const times = 3;

/** Compares a thousand concurrent identical streams that share one call with a thousand proxied calls. */
export function joiners(): Promise<Table> {
  return Site.with(async (site) => {
    const gateway = await site.gateway({ both: plugin, plain: [] });
    const measured = async (pipeline: string, round: number) => {
      const [before, callsBefore] = [cpuSeconds(gateway.pid), await site.provider.calls()];
      const result = await site.client.crowd({
        url: gateway.url(pipeline, `?events=${events}&gap=${gap}`),
        request: question(300, { stream: true, user: `crowd ${round}` }),
        body: null,
        cache: null,
        readers,
      });
      const calls = (await site.provider.calls()) - callsBefore;
      return { ...result, calls, cpu: ((cpuSeconds(gateway.pid) - before) / readers) * 1000 };
    };
    const [ours, theirs]: Measured[][] = [[], []];
    await measured('both', -1);
    for (let round = 0; round < times; round++) {
      const joined = await measured('both', round);
      check(joined);
      ours?.push(joined);
      theirs?.push(await measured('plain', round));
    }
    return table(ours ?? [], theirs ?? []);
  });
}

type Measured = CrowdResult & { readonly calls: number; readonly cpu: number };

function check({ calls, outcomes, bodies, delays }: Measured): void {
  must(calls === 1, `one call to the provider, and not ${calls}`);
  must(bodies === 1, `the same bytes for all, and not ${bodies} different ones`);
  const joined = outcomes['HIT (coalesced)'];
  must(joined === readers - 1, `${readers - 1} joiners, and not ${JSON.stringify(outcomes)}`);
  must(delays.length === readers * events, 'every event reaches every reader');
}

function table(ours: readonly Measured[], theirs: readonly Measured[]): Table {
  const row = (what: string, of: (one: Measured) => number) => {
    const [left, right] = [ours.map(of), theirs.map(of)];
    return { what, cells: [ratio(left, right), spread(left, ms), spread(right, ms)] };
  };
  return {
    title: 'Joiners',
    note: `${readers} identical streams of ${events} events ${gap} ms apart, asked for at once: with the plugin one call to the provider and ${readers - 1} that read along, without it ${readers} calls. All readers got the same bytes. An event is written to one reader after the other, so the middle one gets it after half of them.`,
    columns: ['', 'with the plugin, of without', 'with', 'without'],
    rows: [
      row('processor time of the gateway for a reader', ({ cpu }) => cpu),
      row('from the first request to the last byte', ({ took }) => took),
      row('from the write of an event to its read, median', ({ delays }) =>
        percentile(delays, 0.5),
      ),
      row('the same, p99', ({ delays }) => percentile(delays, 0.99)),
    ],
    bar: 0,
  };
}
