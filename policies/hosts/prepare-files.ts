import type { PluginSettings } from '../../schemas/plugin.ts';
import { ConfigurationError } from '../../schemas/validate.ts';
import { whyNotWritable } from '../llm-usage/sinks/writable.ts';
import { settingsPlace } from './settings-place.ts';

/**
 * Creates the folders of the files for entries and usage records. Throws a ConfigurationError for the
 * first file that cannot be written.
 */
export function prepareFiles({ usage, stores }: PluginSettings, place = settingsPlace): void {
  for (const [name, store] of Object.entries(stores)) {
    if (store.type !== 'memory' || store.persist === undefined) continue;
    const why = whyNotWritable(store.persist.path);
    if (why === null) continue;
    throw new ConfigurationError(`${place}: "stores.${name}.persist.path": ${why}`);
  }
  for (const [index, sink] of usage.sinks.entries()) {
    if (sink.type !== 'jsonl' || sink.path === undefined) continue;
    const why = whyNotWritable(sink.path);
    if (why === null) continue;
    throw new ConfigurationError(`${place}: "usage.sinks.${index}.path": ${why}`);
  }
}
