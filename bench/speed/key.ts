import { llmCacheSchema, type LlmCacheSettings } from '../../schemas/llm-cache.ts';
import { validate } from '../../schemas/validate.ts';
import { noControls } from '../../policies/llm-cache/client-controls.ts';
import { identify, type IdentifyParts } from '../../policies/llm-cache/identify.ts';
import type { KnownDigest } from '../../policies/llm-cache/key.ts';
import { nodeDigest, nodeHashing } from '../../policies/hosts/node/digest.ts';
import { nodeReading } from '../../policies/hosts/node/body.ts';
import { Recent } from '../../policies/shared/recent.ts';
import { BodyMemory, RequestBody } from '../../policies/shared/request-body.ts';
import { makeRequest } from '../../test/support/llm-request.ts';
import { must, ratio, rounds, type Row, spread, type Table, us } from '../tools/figures.ts';
import { mark, question } from '../tools/messages.ts';
import { sizeOf } from './hit.ts';

const sizes = [300, 8192, 65_536, 2 ** 20];
const digest = nodeDigest('a secret of the benchmark');
/** A plain object, as in Node. */
const headers: Readonly<Record<string, string>> = {
  authorization: 'Bearer sk-bench',
  'openai-organization': 'org-bench',
};

/** V8 optimises the code for good only after some ten thousand short bodies. */
const warmUpRounds = 10;

/** Computes the key of each body as the policy does, and measures the mean time in microseconds. */
async function keysOf(bodies: readonly Uint8Array[], caches: Caches) {
  const { reading, identifyParts } = caches;
  const requests = bodies.map((bytes) => ({
    ...makeRequest(),
    header: (name: string) => headers[name],
    headers,
    ownHeaders: Object.entries(headers).flat(),
    // Read already, as in a pipeline with both policies.
    body: () => new RequestBody([bytes], reading),
  }));
  const keys: string[] = [];
  const startedAt = performance.now();
  for (const request of requests) {
    const pending = identify(request, noControls, identifyParts);
    const found = pending instanceof Promise ? await pending : pending;
    if (typeof found === 'object' && 'key' in found) keys.push(found.key);
  }
  const each = ((performance.now() - startedAt) / bodies.length) * 1000;
  return { keys, each };
}

interface Caches {
  readonly reading: typeof nodeReading;
  readonly identifyParts: IdentifyParts;
}

const newCaches = (): Caches => ({
  reading: { ...nodeReading, hashing: nodeHashing, memory: new BodyMemory() },
  identifyParts: {
    settings: validate<LlmCacheSettings>(llmCacheSchema, {}, 'llm-cache'),
    digest,
    forwardsHost: () => false,
    remembered: new Recent<KnownDigest>(10_000),
  },
});

/** Measures key computation, for new bodies and for bodies seen before. */
export async function key(): Promise<Table> {
  const rows: Row[] = [];
  for (const size of sizes) {
    const count = Math.min(2000, Math.ceil((8 * 2 ** 20) / size));
    const text = question(size);
    const first: number[] = [];
    const again: number[] = [];
    for (let round = -warmUpRounds; round < rounds; round++) {
      const bodies = Array.from({ length: count }, (_, at) =>
        Buffer.from(text.replace(mark, String(round * count + at).padStart(mark.length, '0'))),
      );
      const caches = newCaches();
      const seen = await keysOf(bodies, caches);
      const seenAgain = await keysOf(bodies, caches);
      must(new Set(seen.keys).size === count, 'every body has a key of its own');
      must(seenAgain.keys.join() === seen.keys.join(), 'the same body has the same key');
      if (round < 0) continue;
      first.push(seen.each);
      again.push(seenAgain.each);
    }
    rows.push({
      what: `a chat of ${sizeOf(size)}`,
      cells: [spread(first, us), spread(again, us), ratio(again, first)],
    });
  }
  return {
    title: 'Keys',
    note: 'In process, with the body’s reading as JSON where that is needed, its scope and its key; a hit makes one key. The same bytes have the same key, different ones different keys.',
    columns: ['', 'at first sight', 'seen before', 'of first sight'],
    rows,
    bar: 2,
  };
}
