import { percentile } from '../reliability/scenario.ts';
import { ms, must, rounds, spread, type Table } from '../tools/figures.ts';
import { question } from '../tools/messages.ts';
import type { ProbeResult } from '../tools/orders.ts';
import { plugin, Site } from '../tools/site.ts';
import { warmUp } from '../tools/versus.ts';

const events = 10;
const gap = 5;
const times = 20;

/** Measures forwarded streams: the time to the first byte, and whether an event waits for the next one. */
export function streams(): Promise<Table> {
  return Site.with(async (site) => {
    const gateway = await site.gateway({ both: plugin, plain: [] });
    const query = `?events=${events}&gap=${gap}`;
    const targets = ['both', 'plain'].map((pipeline) => {
      const request = question(300, { stream: true });
      return { url: gateway.url(pipeline, query), request, body: null, cache: null };
    });
    const stream = { bytes: 2048, stream: true };
    for (const pipeline of ['both', 'plain']) {
      await warmUp(
        site.client,
        { order: gateway.miss(pipeline, 300, stream), pid: gateway.pid },
        16,
      );
    }
    await site.client.probe({ targets, times });
    const firstBytes: number[][] = [[], []];
    const delays: number[][] = [[], []];
    const longest: number[][] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const results = await site.client.probe({ targets, times });
      for (const [side, result] of results.entries()) {
        check(result);
        firstBytes[side]?.push(percentile(result.firstBytes, 0.5));
        delays[side]?.push(percentile(result.delays, 0.5));
        longest[side]?.push(percentile(result.delays, 0.99));
      }
    }
    const row = (what: string, [ours = [], theirs = []]: readonly number[][]) => {
      const more = ours.map((value, round) => value - (theirs[round] ?? NaN));
      return { what, cells: [more, ours, theirs].map((values) => spread(values, ms)) };
    };
    return {
      title: 'Streams',
      note: `Streams of ${events} events ${gap} ms apart, one at a time through a pipeline with the plugin and without it in turn. The provider writes into each event when it was written: that none is kept back until the next one is written is checked.`,
      columns: ['', 'more with the plugin', 'with', 'without'],
      rows: [
        row('time to the first byte, median', firstBytes),
        row('from the provider’s write to the client’s read of an event, median', delays),
        row('the same, p99', longest),
      ],
    };
  });
}

function check({ delays, held }: ProbeResult): void {
  must(delays.length === events * times, `${events * times} events, and not ${delays.length}`);
  // On a shared machine the scheduler delays a few.
  must(held <= delays.length / 20, `no event waits for the next one; ${held} did`);
}
