import { totalmem } from 'node:os';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { storeSettings } from '../llm-cache/stores/registry.ts';
import { timeWarnings } from '../llm-cache/time-warnings.ts';
import type { Pipeline } from './pipelines.ts';
import { isObject } from '../shared/json/json.ts';
import { howToMakeOne } from './configuration.ts';

/** What this process may use, in bytes. */
export interface Machine {
  readonly memory: number;
  readonly heap: number;
}

/** The share of a small entry that is objects on the heap; its body is beside the heap. */
const heapShare = 0.25;

/** Sizes and times in the settings that are likely a mistake, a sentence each. */
export function settingsWarnings(
  settings: Pick<PluginSettings, 'stores'>,
  where: string,
  machine = thisMachine(),
): string[] {
  const warnings: string[] = [];
  const stores = Object.entries(storeSettings(settings.stores));
  for (const [name, store] of stores) {
    if (store.type === 'tiered') {
      warnings.push(...timeWarnings({ nearTtl: store.nearTtl }, `${where}: stores.${name}`));
    }
  }
  const sizes = stores.flatMap(([name, store]) =>
    store.type === 'memory' ? [{ name, bytes: store.maxBytes }] : [],
  );
  const sum = sizes.reduce((total, { bytes }) => total + bytes, 0);
  const tooLarge = sizes.filter(({ bytes }) => bytes > machine.memory);
  const memory = `the ${sized(machine.memory)} of memory that this process may use`;
  for (const { name, bytes } of tooLarge) {
    warnings.push(
      `${where}: "stores.${name}.maxBytes" is ${sized(bytes)}, more than ${memory}; the process would be killed before the store is full`,
    );
  }
  if (tooLarge.length === 0 && sum > machine.memory) {
    warnings.push(
      `${where}: the "maxBytes" of all memory stores together are ${sized(sum)}, more than ${memory}; the process would be killed before they are full`,
    );
  }
  if (sum * heapShare > machine.heap) {
    warnings.push(
      `${where}: the "maxBytes" of all memory stores together are ${sized(sum)}, of which small answers would keep about a quarter on the heap, and the heap ends at ${sized(machine.heap)}; lower them, or start Node with a higher --max-old-space-size`,
    );
  }
  return warnings;
}

/** What every new project of the gateway has for its `crypto.cipherKey`, until its operator changes it. */
const shippedKey = 'sensitiveKey';

/** A word about a secret that is known to all. */
export function secretWarnings(secret: string, where: string): string[] {
  if (secret !== shippedKey) return [];
  return [
    `${where}: without a "scopeSecret" the digests of who asks, and the proofs of what is stored, are made with "crypto.cipherKey", which is ${JSON.stringify(shippedKey)} as Express Gateway ships it, and no secret; ${howToMakeOne}`,
  ];
}

/** The same of the `llm-cache` steps of a pipeline. */
export function stepWarnings({ name, steps }: Pipeline): string[] {
  return steps
    .filter(({ policy }) => policy === 'llm-cache')
    .flatMap(({ action }) =>
      timeWarnings(isObject(action) ? action : {}, `pipeline "${name}", llm-cache`),
    );
}

/** Infinite where the runtime does not tell: Deno asks for a permission. */
function thisMachine(): Machine {
  return {
    memory: toldOr(Infinity, () => {
      // A container may have less than its machine; 0 or a huge number says that it has no limit.
      const constrained = process.constrainedMemory?.() ?? 0;
      return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
    }),
    heap: toldOr(Infinity, () => getHeapStatistics().heap_size_limit),
  };
}

function toldOr(otherwise: number, tell: () => number): number {
  try {
    return tell();
  } catch {
    return otherwise;
  }
}

function sized(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
