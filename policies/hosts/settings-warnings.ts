import { totalmem } from 'node:os';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { actionWarnings } from '../llm-cache/action-warnings.ts';
import { storeSettings } from '../llm-cache/stores/registry.ts';
import { timeWarnings } from '../llm-cache/time-warnings.ts';
import type { Pipeline } from './pipelines.ts';
import { isObject } from '../shared/json/json.ts';

/** The memory that this process may use, in bytes. */
export interface Machine {
  readonly memory: number;
  readonly heap: number;
}

/** The part of a small entry that is on the heap. Its body is outside the heap. */
const heapShare = 0.25;

/** Returns a sentence for each size or time in the settings that is likely a mistake. */
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
  const memory = `the ${formatBytes(machine.memory)} of memory that this process may use`;
  for (const { name, bytes } of tooLarge) {
    warnings.push(
      `${where}: "stores.${name}.maxBytes" is ${formatBytes(bytes)}, more than ${memory}; the process would be killed before the store is full`,
    );
  }
  if (tooLarge.length === 0 && sum > machine.memory) {
    warnings.push(
      `${where}: the "maxBytes" of all memory stores together are ${formatBytes(sum)}, more than ${memory}; the process would be killed before they are full`,
    );
  }
  if (sum * heapShare > machine.heap) {
    warnings.push(
      `${where}: the "maxBytes" of all memory stores together are ${formatBytes(sum)}, of which small answers would keep about a quarter on the heap, and the heap ends at ${formatBytes(machine.heap)}; lower them, or start Node with a higher --max-old-space-size`,
    );
  }
  return warnings;
}

/** Values of `crypto.cipherKey` in a new gateway, and in the gateway's documentation. */
const wellKnown = new Set(['sensitiveKey', 'change-me']);
const shortestSecret = 16;

/** Returns a sentence if the secret is easy to guess and a store outside this process depends on it. */
export function secretWarnings(
  secret: string,
  { scopeSecret, stores }: Pick<PluginSettings, 'scopeSecret' | 'stores'>,
  where: string,
): string[] {
  const isReached = Object.entries(stores).find(
    ([, store]) =>
      store.type === 'redis' || (store.type === 'memory' && store.persist !== undefined),
  );
  if (isReached === undefined) return [];
  if (secret.length >= shortestSecret && !wellKnown.has(secret)) return [];
  const which =
    scopeSecret === undefined
      ? 'the gateway’s "crypto.cipherKey", which stands in for "scopeSecret",'
      : '"scopeSecret"';
  return [
    `${where}: ${which} is easy to guess, and signs what is kept in the store "${isReached[0]}"; set "scopeSecret" to what \`openssl rand -base64 32\` prints`,
  ];
}

/** Returns a sentence for each likely mistake in the `llm-cache` steps of a pipeline. */
export function stepWarnings({ name, steps }: Pipeline): string[] {
  return steps
    .filter(({ policy }) => policy === 'llm-cache')
    .flatMap(({ action }) =>
      actionWarnings(isObject(action) ? action : {}, `pipeline "${name}", llm-cache`),
    );
}

/** Infinite if the runtime does not say: Deno requires a permission. */
function thisMachine(): Machine {
  return {
    memory: valueOr(Infinity, () => {
      // A container may have less memory than its machine. 0 or a huge number means no limit.
      const constrained = process.constrainedMemory?.() ?? 0;
      return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
    }),
    heap: valueOr(Infinity, () => getHeapStatistics().heap_size_limit),
  };
}

function valueOr(otherwise: number, tell: () => number): number {
  try {
    return tell();
  } catch {
    return otherwise;
  }
}

function formatBytes(bytes: number): string {
  const mebibytes = bytes / 2 ** 20;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
