import { totalmem } from 'node:os';
import process from 'node:process';
import { getHeapStatistics } from 'node:v8';
import type { PluginSettings } from '../../schemas/plugin.ts';
import { actionWarnings } from '../llm-cache/action-warnings.ts';
import { storeSettings } from '../llm-cache/stores/registry.ts';
import { timeWarnings } from '../llm-cache/time-warnings.ts';
import type { Pipeline } from './pipelines.ts';
import { isObject } from '../shared/json/json.ts';

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

/** Of `crypto.cipherKey`: what a new gateway has, and what its documents write. */
const wellKnown = new Set(['sensitiveKey', 'change-me']);
const shortestSecret = 16;

/** A secret that can be guessed, where others reach what it signs: a sentence, or none. */
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

/** The same of the `llm-cache` steps of a pipeline. */
export function stepWarnings({ name, steps }: Pipeline): string[] {
  return steps
    .filter(({ policy }) => policy === 'llm-cache')
    .flatMap(({ action }) =>
      actionWarnings(isObject(action) ? action : {}, `pipeline "${name}", llm-cache`),
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
