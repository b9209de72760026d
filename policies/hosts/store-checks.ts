import { resolve } from 'node:path';
import type {
  MemorySettings,
  PluginSettings,
  RedisSettings,
  StoreSettings,
} from '../../schemas/plugin.ts';
import { suggestion } from '../../schemas/suggestion.ts';
import { ConfigurationError } from '../../schemas/validate.ts';
import { isPlaced, storeSettings } from '../llm-cache/stores/registry.ts';
import { isEmulated } from './gateway-redis.ts';
import { settingsPlace } from './settings-place.ts';

/** Throws a ConfigurationError for the first invalid store. A null `systemConfig`: no gateway. */
export function checkStores(
  settings: PluginSettings,
  systemConfig: Readonly<Record<string, unknown>> | null,
  place = settingsPlace,
): void {
  const stores = storeSettings(settings.stores);
  const namesOf = (type: StoreSettings['type']) =>
    Object.keys(stores).filter((name) => stores[name]?.type === type);
  for (const [name, store] of Object.entries(stores)) {
    const where = `${place}: "stores.${name}`;
    if (store.type === 'redis') checkRedis(store, systemConfig, where);
    if (store.type === 'memory') checkPersist(store, stores, settings.usage, where);
    if (store.type !== 'tiered') continue;
    for (const [part, type] of [
      ['near', 'memory'],
      ['far', 'redis'],
    ] as const) {
      if (namesOf(type).includes(store[part])) continue;
      const allowed = namesOf(type).join(', ') || `none, because there is no ${type} store`;
      throw new ConfigurationError(
        `${where}.${part}" must be the name of a ${type} store (${allowed}), got ${JSON.stringify(store[part])}${suggestion(store[part], namesOf(type))}`,
      );
    }
  }
}

/** Throws a ConfigurationError if another store or a sink uses the store's file. */
function checkPersist(
  { persist }: MemorySettings,
  stores: Readonly<Record<string, StoreSettings>>,
  { sinks }: PluginSettings['usage'],
  where: string,
): void {
  if (persist === undefined) return;
  const path = resolve(persist.path);
  const index = sinks.findIndex(
    (sink) => sink.type === 'jsonl' && sink.path !== undefined && resolve(sink.path) === path,
  );
  if (index >= 0) {
    throw new ConfigurationError(
      `${where}.persist.path" is the file of "usage.sinks.${index}", expected one of its own`,
    );
  }
  const sharing = Object.keys(stores).filter((name) => {
    const other = stores[name];
    return (
      other?.type === 'memory' &&
      other.persist !== undefined &&
      resolve(other.persist.path) === path
    );
  });
  if (sharing.length < 2) return;
  throw new ConfigurationError(
    `${where}.persist.path" is the file of several stores (${sharing.join(', ')}), expected one of its own for each`,
  );
}

/** Throws a ConfigurationError. No message shows a value, which may contain a secret. */
function checkRedis(
  store: RedisSettings,
  systemConfig: Readonly<Record<string, unknown>> | null,
  where: string,
): void {
  if (!isPlaced(store) && systemConfig === null) {
    throw new ConfigurationError(`${where}.url" is missing: expected the url of a Redis`);
  }
  if (!isPlaced(store) && systemConfig !== null && isEmulated(systemConfig)) {
    throw new ConfigurationError(
      `${where}.url" is missing, and the gateway's own db.redis is emulated: expected the url of a Redis`,
    );
  }
  if (store.url !== undefined && !/^(rediss?:\/\/|\/)./.test(store.url)) {
    throw new ConfigurationError(
      `${where}.url" must begin with redis:// or rediss://, or be the path of a socket`,
    );
  }
  if ('keyPrefix' in store.options) {
    throw new ConfigurationError(
      `${where}.options.keyPrefix" must not be set; use the store's own "keyPrefix"`,
    );
  }
}
