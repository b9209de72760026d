import type { Group } from './ledger.ts';

const other = 'other';

/** The part of all groups that one caller's models may be in a day, and how many at least. */
const share = 1 / 20;
const fewest = 20;
/** Of all callers together. */
const maxNames = 20_000;

/**
 * What a caller calls its models within a day. Some providers take any name: who makes names up
 * would leave no group for others, and be in the `other` one itself, where no budget counts it.
 */
export class ModelNames {
  #day = '';
  #size = 0;
  readonly #named = new Map<string, Set<string>>();

  /** The group with its models where there is room for them, else with `other` in their place. */
  within(group: Group, maxGroups: number): Group {
    if (group.day > this.#day || this.#size >= maxNames) this.#begin(group.day);
    const caller = JSON.stringify([group.provider, group.consumer_id, group.api_endpoint]);
    let names = this.#named.get(caller);
    if (names === undefined) this.#named.set(caller, (names = new Set()));
    const name = JSON.stringify([group.model, group.requested_model]);
    if (names.has(name)) return group;
    if (names.size >= Math.max(fewest, maxGroups * share)) {
      return { ...group, model: other, requested_model: other };
    }
    names.add(name);
    this.#size++;
    return group;
  }

  #begin(day: string): void {
    this.#day = day;
    this.#size = 0;
    this.#named.clear();
  }
}
