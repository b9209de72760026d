import type { Answer, AnswerFacts } from '../../shared/answer.ts';
import type { JsonObject } from '../../shared/json/json.ts';
import type { ItemAnswer } from '../../shared/protocols/protocol.ts';
import type { Usage } from '../../shared/usage.ts';
import { dividedUsage, inputUsage, totalTokens } from './item-usage.ts';
import { type Items, weightsOf } from './items.ts';
import type { StoredItems } from './stored-items.ts';

/** The merged answer to a whole request. */
export interface WholeAnswer {
  readonly body: Uint8Array;
  /** The facts of the unbilled part: the stored inputs and the duplicates. */
  readonly saved: AnswerFacts;
}

/** A call that asks the provider only for the inputs of a request that are not stored. */
export class PartialCall {
  /** The request body for the provider. */
  readonly body: Uint8Array;
  /** The inputs in `body`, each once. */
  readonly items: Items;
  readonly #all: Items;
  readonly #stored: StoredItems;
  /** The memoized result of `whole`. */
  #merged: { readonly whole: WholeAnswer | null } | null = null;

  constructor(all: Items, stored: StoredItems) {
    const asked = [...new Set(all.asked)].filter(({ key }) => !stored.has(key));
    this.#all = all;
    this.#stored = stored;
    this.items = { ...all, asked, isPart: true };
    this.body = all.list.some(asked.map(({ at }) => at));
  }

  /**
   * Merges the provider's answer with the stored items; null if they do not fit together. Call it
   * with one answer only: later calls return the first result. Never throws.
   */
  whole(answer: Answer): WholeAnswer | null {
    return (this.#merged ??= { whole: this.#mergeOrNull(answer) }).whole;
  }

  #mergeOrNull(answer: Answer): WholeAnswer | null {
    try {
      return this.#merge(answer);
    } catch {
      // JSON nested so deeply that it can be parsed, but not serialised.
      return null;
    }
  }

  #merge(answer: Answer): WholeAnswer | null {
    const { rules, asked } = this.items;
    if (answer.body === null) return null;
    const read = rules.readItems(answer.body, asked.length);
    const [known] = this.#stored.values();
    if (read === null || (known !== undefined && known.answer.shape !== read.shape)) return null;
    const parts = this.#parts(read, answer);
    const found = this.#all.asked.map((item) => parts.get(item.key));
    const total = totalTokens(found.map((part) => part?.usage ?? null));
    const saved = total === null ? null : Math.max(0, total - billed(answer.usage));
    const items = found.flatMap((part) => (part === undefined ? [] : [part.item]));
    const usage = total === null || saved === null ? null : { total, saved };
    const facts = { id: null, model: answer.model, fault: null, cut: null };
    return {
      body: rules.joinItems({ ...read, items }, usage),
      saved: { ...facts, usage: inputUsage(saved) },
    };
  }

  /** Returns the answer to every input, by key. */
  #parts(read: ItemAnswer, answer: Answer): ReadonlyMap<string, Part> {
    const parts = new Map<string, Part>();
    for (const [key, { answer: stored, entry }] of this.#stored) {
      const [item] = stored.items;
      if (item !== undefined) parts.set(key, { item, usage: entry.usage });
    }
    const usages = dividedUsage(answer.usage, weightsOf(this.items.asked));
    for (const [at, { key }] of this.items.asked.entries()) {
      const item = read.items[at];
      if (item !== undefined) parts.set(key, { item, usage: usages[at] ?? null });
    }
    return parts;
  }
}

interface Part {
  readonly item: JsonObject;
  readonly usage: Usage | null;
}

function billed(usage: Usage | null): number {
  return usage?.inputTokens ?? usage?.totalTokens ?? 0;
}
