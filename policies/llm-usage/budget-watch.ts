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

/** Delay from the first spending to the check; spending in between shares that check. */
const checkDelayMs = 30_000;
/** How long states read from the ledger are reused. */
const freshMs = 30_000;

/**
 * Logs a warning when a budget is nearly spent, and another when it is spent. It never blocks a
 * request.
 */
export class BudgetWatch {
  readonly #log: Log;
  readonly #faults: FaultLog;
  readonly #now: () => number;
  #budgets: readonly BudgetSettings[] = [];
  #parts: BudgetParts | null = null;
  #cached: { readonly at: number; readonly states: Promise<readonly BudgetState[]> } | null = null;
  /** The last warning of each budget: its period and state. */
  readonly #warned = new Map<string, string>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor({ log, faults, now = Date.now }: BudgetWatchParts) {
    this.#log = log;
    this.#faults = faults;
    this.#now = now;
  }

  /** Replaces the budgets after a configuration was loaded. */
  configure(budgets: readonly BudgetSettings[], parts: BudgetParts): void {
    this.#budgets = budgets;
    this.#parts = parts;
    this.#cached = null;
    const names = new Set(budgets.map(budgetName));
    for (const name of this.#warned.keys()) if (!names.has(name)) this.#warned.delete(name);
    if (budgets.length > 0) this.#scheduleCheck();
  }

  /** Schedules a check if the record may have spent from a budget. */
  spent(record: UsageRecord): void {
    if (this.#budgets.length > 0 && record.billed && isPaid(record)) this.#scheduleCheck();
  }

  /** Returns how far each budget is spent. Rejects if the ledger cannot be read. */
  states(): Promise<readonly BudgetState[]> {
    // Not Date.now(): someone may set the machine's clock back by years.
    const now = performance.now();
    const parts = this.#parts;
    if (parts === null || this.#budgets.length === 0) return Promise.resolve([]);
    if (this.#cached !== null && now - this.#cached.at < freshMs) return this.#cached.states;
    const states = budgetStates(this.#budgets, parts, this.#now());
    const known = { at: now, states };
    this.#cached = known;
    states.catch(() => {
      if (this.#cached === known) this.#cached = null;
    });
    return states;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#budgets = [];
  }

  /** Starts at most one timer, which does not keep the process alive. */
  #scheduleCheck(): void {
    if (this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#check();
    }, checkDelayMs);
    this.#timer.unref();
  }

  async #check(): Promise<void> {
    try {
      for (const state of await this.states()) this.#report(state);
    } catch (error) {
      this.#faults.report('llm-usage: the budgets could not be read', error);
    }
  }

  #report(budget: BudgetState): void {
    const { name, state, spent, usd, from, to, consumer, consumerId } = budget;
    if (consumer !== null && consumerId === null) {
      this.#warnOnce(name, 'unknown', `no consumer is called ${JSON.stringify(consumer)}`);
      return;
    }
    if (state === 'ok') return;
    const when = from === to ? from : `${from} to ${to}`;
    const sums = `${spent.toFixed(2)} of ${usd.toFixed(2)} USD, ${when}`;
    this.#warnOnce(
      name,
      `${from} ${state}`,
      `${state === 'over' ? 'spent' : 'nearly spent'}: ${sums}`,
    );
  }

  #warnOnce(name: string, about: string, text: string): void {
    if (this.#warned.get(name) === about) return;
    this.#warned.set(name, about);
    this.#log.warn(`llm-usage: budget ${JSON.stringify(name)}: ${text}`);
  }
}
