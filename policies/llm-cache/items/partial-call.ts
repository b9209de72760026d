import type { Answer, AnswerFacts } from '../../shared/answer.ts';
import type { JsonObject } from '../../shared/json/json.ts';
import type { ItemAnswer } from '../../shared/protocols/protocol.ts';
import type { Usage } from '../../shared/usage.ts';
import { dividedUsage, inputUsage, totalTokens } from './item-usage.ts';
import { type Items, weightsOf } from './items.ts';
import type { StoredItems } from './stored-items.ts';

/** The answer to all of a request. */
export interface WholeAnswer {
  readonly body: Uint8Array;
  /** What was not billed of it. */
  readonly saved: AnswerFacts;
}

/** A request some of whose inputs are stored, on its way to the provider with the others. */
export class PartialCall {
  /** What the provider is asked for. */
  readonly body: Uint8Array;
  /** The inputs in it, each once. */
  readonly items: Items;
  readonly #all: Items;
  readonly #stored: StoredItems;
  #made: { readonly whole: WholeAnswer | null } | null = null;

  constructor(all: Items, stored: StoredItems) {
    const asked = [...new Set(all.asked)].filter(({ key }) => !stored.has(key));
    this.#all = all;
    this.#stored = stored;
    this.items = { ...all, asked, isPart: true };
    this.body = all.list.some(asked.map(({ at }) => at));
  }

  /** The provider's answer, the one that there is, together with what is stored; null where it does not fit. Never throws. */
  whole(answer: Answer): WholeAnswer | null {
    return (this.#made ??= { whole: this.#madeOf(answer) }).whole;
  }

  #madeOf(answer: Answer): WholeAnswer | null {
    try {
      return this.#make(answer);
    } catch {
      // Nested so deeply that it can be read, and not be written.
      return null;
    }
  }

  #make(answer: Answer): WholeAnswer | null {
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

  /** Every input with its answer, by key. */
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
