import type { BudgetSettings } from '../../schemas/plugin.ts';
import type { FaultLog } from '../shared/faults.ts';
import type { Log } from '../shared/log.ts';
import { budgetName, type BudgetParts, type BudgetState, budgetStates } from './budgets.ts';
import { isPaid } from './ledger.ts';
import type { UsageRecord } from './usage-record.ts';

export interface BudgetWatchParts {
  readonly log: Log;
  readonly faults: FaultLog;
  readonly now?: () => number;
}

/** After money was spent the budgets are looked at once, so much later at most. */
const soonMs = 30_000;
/** The states are not read from the ledger more often than this. */
const freshMs = 30_000;

/** Watches over budgets: says in the log when one is nearly spent, and when it is. It blocks nothing. */
export class BudgetWatch {
  readonly #log: Log;
  readonly #faults: FaultLog;
  readonly #now: () => number;
  #budgets: readonly BudgetSettings[] = [];
  #parts: BudgetParts | null = null;
  #known: { readonly at: number; readonly states: Promise<readonly BudgetState[]> } | null = null;
  /** What was said, by budget: of which period and state. */
  readonly #said = new Map<string, string>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor({ log, faults, now = Date.now }: BudgetWatchParts) {
    this.#log = log;
    this.#faults = faults;
    this.#now = now;
  }

  /** Takes the budgets of a configuration that was loaded. */
  configure(budgets: readonly BudgetSettings[], parts: BudgetParts): void {
    this.#budgets = budgets;
    this.#parts = parts;
    this.#known = null;
    const names = new Set(budgets.map(budgetName));
    for (const name of this.#said.keys()) if (!names.has(name)) this.#said.delete(name);
    if (budgets.length > 0) this.#lookSoon();
  }

  /** Something may have been spent. */
  spent(record: UsageRecord): void {
    if (this.#budgets.length > 0 && record.billed && isPaid(record)) this.#lookSoon();
  }

  /** How far each budget is spent. Rejects where the ledger cannot tell. */
  states(): Promise<readonly BudgetState[]> {
    // The machine's clock may be set back, by years.
    const now = performance.now();
    const parts = this.#parts;
    if (parts === null || this.#budgets.length === 0) return Promise.resolve([]);
    if (this.#known !== null && now - this.#known.at < freshMs) return this.#known.states;
    const states = budgetStates(this.#budgets, parts, this.#now());
    const known = { at: now, states };
    this.#known = known;
    states.catch(() => {
      if (this.#known === known) this.#known = null;
    });
    return states;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#budgets = [];
  }

  /** One timer at a time, which keeps no process alive. */
  #lookSoon(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#look();
    }, soonMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      for (const state of await this.states()) this.#tell(state);
    } catch (error) {
      this.#faults.report('llm-usage: the budgets could not be read', error);
    }
  }

  #tell(budget: BudgetState): void {
    const { name, state, spent, usd, from, to, consumer, consumerId } = budget;
    if (consumer !== null && consumerId === null) {
      this.#sayOnce(name, 'unknown', `no consumer is called ${JSON.stringify(consumer)}`);
      return;
    }
    if (state === 'ok') return;
    const when = from === to ? from : `${from} to ${to}`;
    const sums = `${spent.toFixed(2)} of ${usd.toFixed(2)} USD, ${when}`;
    this.#sayOnce(
      name,
      `${from} ${state}`,
      `${state === 'over' ? 'spent' : 'nearly spent'}: ${sums}`,
    );
  }

  #sayOnce(name: string, about: string, text: string): void {
    if (this.#said.get(name) === about) return;
    this.#said.set(name, about);
    this.#log.warn(`llm-usage: budget ${JSON.stringify(name)}: ${text}`);
  }
}
