import type { PluginSettings } from '../../schemas/plugin.ts';
import { suggestion } from '../../schemas/suggestion.ts';
import { ConfigurationError } from '../../schemas/validate.ts';
import { redisStores, storeSettings } from '../llm-cache/stores/registry.ts';
import { budgetName } from '../llm-usage/budgets.ts';
import { settingsPlace } from './settings-place.ts';

/** Throws a ConfigurationError if the settings of the ledger, a budget or a sink are invalid. */
export function checkUsage({ stores: named, usage }: PluginSettings, place = settingsPlace): void {
  const stores = storeSettings(named);
  const where = `${place}: "usage`;
  const { store } = usage.ledger;
  if (!Object.hasOwn(stores, store)) {
    throw new ConfigurationError(
      `${where}.ledger.store" must be one of ${Object.keys(stores).join(', ')}, got ${JSON.stringify(store)}${suggestion(store, Object.keys(stores))}`,
    );
  }
  checkBudgets(usage, where);
  const types = usage.sinks.map((sink) => sink.type);
  for (const [index, sink] of usage.sinks.entries()) {
    if (sink.type === 'prometheus' && types.indexOf('prometheus') !== index) {
      throw new ConfigurationError(`${where}.sinks.${index}" is a second prometheus sink`);
    }
    if (sink.type !== 'redis' || sink.url !== undefined) continue;
    const places = redisStores(stores);
    const isKnown = sink.store === undefined ? places.length === 1 : places.includes(sink.store);
    if (isKnown) continue;
    const allowed = places.join(', ') || 'none, because there is no redis store';
    throw new ConfigurationError(
      `${where}.sinks.${index}.store" must be the name of a redis store (${allowed}), unless there is a "url"${sink.store === undefined ? '' : `, got ${JSON.stringify(sink.store)}${suggestion(sink.store, places)}`}`,
    );
  }
}

function checkBudgets({ budgets, ledger }: PluginSettings['usage'], where: string): void {
  const names = budgets.map(budgetName);
  for (const [index, { per }] of budgets.entries()) {
    const name = names[index] ?? '';
    if (names.indexOf(name) !== index) {
      throw new ConfigurationError(
        `${where}.budgets.${index}" has the name of another one, ${JSON.stringify(name)}; give it a "name" of its own`,
      );
    }
    if (per === 'month' && ledger.retentionDays < daysOfMonth) {
      throw new ConfigurationError(
        `${where}.ledger.retentionDays" must be at least ${daysOfMonth} for a budget per month, got ${ledger.retentionDays}`,
      );
    }
  }
}

const daysOfMonth = 31;
