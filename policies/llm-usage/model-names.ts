import type { Group } from './ledger.ts';

const other = 'other';

/** The fraction of all groups that one caller's models may take in a day, and the minimum number. */
const callerShare = 1 / 20;
const minNames = 20;
/** The bound for all callers together. */
const maxNames = 20_000;

/**
 * Bounds the model names of each caller in a day. Some providers accept any name, so a caller that
 * invents names could use up all groups, and end in the `other` group, where no budget counts it.
 */
export class ModelNames {
  #day = '';
  #size = 0;
  readonly #named = new Map<string, Set<string>>();

  /** Returns the group unchanged if there is room for its models, else with `other` in their place. */
  within(group: Group, maxGroups: number): Group {
    if (group.day > this.#day || this.#size >= maxNames) this.#startDay(group.day);
    const caller = JSON.stringify([group.provider, group.consumer_id, group.api_endpoint]);
    let names = this.#named.get(caller);
    if (names === undefined) this.#named.set(caller, (names = new Set()));
    const name = JSON.stringify([group.model, group.requested_model]);
    if (names.has(name)) return group;
    if (names.size >= Math.max(minNames, maxGroups * callerShare)) {
      return { ...group, model: other, requested_model: other };
    }
    names.add(name);
    this.#size++;
    return group;
  }

  #startDay(day: string): void {
    this.#day = day;
    this.#size = 0;
    this.#named.clear();
  }
}
