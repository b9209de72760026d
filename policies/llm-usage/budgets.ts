import type { BudgetSettings } from '../../schemas/plugin.ts';
import { dayMs, dayOf, type Ledger, type Row } from './ledger.ts';

/** How far a budget is spent. */
export interface BudgetState {
  readonly name: string;
  /** The consumer that the budget applies to, as the operator wrote it; null for all. */
  readonly consumer: string | null;
  /** The consumer's id; null if no consumer has that name. */
  readonly consumerId: string | null;
  readonly model: string | null;
  readonly apiEndpoint: string | null;
  readonly per: 'day' | 'month';
  readonly usd: number;
  /** USD billed at list price in the current day or month, UTC. */
  readonly spent: number;
  /** Billed requests whose cost is unknown, so `spent` leaves them out. */
  readonly unpricedRequests: number;
  readonly state: 'ok' | 'near' | 'over';
  readonly from: string;
  readonly to: string;
}

/** The fraction of a budget from which its state is `near`. */
export const nearlySpent = 0.8;

const groupBy = ['consumer_id', 'model', 'requested_model', 'api_endpoint'] as const;

/** Returns the budget's configured name, or one made of its filters and period. */
export function budgetName({ name, consumer, model, apiEndpoint, per }: BudgetSettings): string {
  if (name !== undefined) return name;
  const parts = [
    ['consumer', consumer],
    ['model', model],
    ['apiEndpoint', apiEndpoint],
  ].flatMap(([kind, value]) => (value === undefined ? [] : [`${kind} ${value}`]));
  return `${parts.join(', ') || 'everything'} per ${per}`;
}

/** Returns the first and last day of the day or month that contains `now`, UTC. */
export function periodOf(per: 'day' | 'month', now: number): { from: string; to: string } {
  const today = dayOf(now);
  if (per === 'day') return { from: today, to: today };
  const [year = '', month = ''] = today.split('-');
  const next = Date.UTC(Number(year), Number(month), 1);
  return { from: `${year}-${month}-01`, to: dayOf(next - dayMs) };
}

export interface BudgetParts {
  readonly ledger: Pick<Ledger, 'query'>;
  /** Resolves a consumer's name to its id, or to null if no consumer has that name. */
  idOf(consumer: string): Promise<string | null>;
}

/** Returns how far each budget is spent at `now`. Rejects if the ledger cannot be read. */
export async function budgetStates(
  budgets: readonly BudgetSettings[],
  { ledger, idOf }: BudgetParts,
  now: number,
): Promise<readonly BudgetState[]> {
  const rows = new Map<'day' | 'month', Promise<readonly Row[]>>();
  for (const { per } of budgets) {
    if (rows.has(per)) continue;
    const query = { ...periodOf(per, now), groupBy };
    rows.set(
      per,
      ledger.query(query).then((report) => report.rows),
    );
  }
  return Promise.all(
    budgets.map(async (budget) => {
      const consumerId = budget.consumer === undefined ? null : await idOf(budget.consumer);
      const isUnknown = budget.consumer !== undefined && consumerId === null;
      const all = isUnknown ? [] : ((await rows.get(budget.per)) ?? []);
      return stateOf(
        budget,
        consumerId,
        all.filter((row) => countsToward(row, budget, consumerId)),
        now,
      );
    }),
  );
}

function stateOf(
  budget: BudgetSettings,
  consumerId: string | null,
  rows: readonly Row[],
  now: number,
): BudgetState {
  const { consumer = null, model = null, apiEndpoint = null, per, usd } = budget;
  const spent = rows.reduce((sum, row) => sum + (row.billed_cost ?? 0), 0);
  const unpricedRequests = rows.reduce((sum, row) => sum + row.unpriced_requests, 0);
  const state = spent >= usd ? 'over' : spent >= usd * nearlySpent ? 'near' : 'ok';
  const name = budgetName(budget);
  const what = { name, consumer, consumerId, model, apiEndpoint, per, usd };
  return { ...what, spent, unpricedRequests, state, ...periodOf(per, now) };
}

/** A budget's model matches either the answer's model or the requested one, like every model filter. */
function countsToward(
  row: Row,
  { model, apiEndpoint }: BudgetSettings,
  consumerId: string | null,
): boolean {
  if (consumerId !== null && row.consumer_id !== consumerId) return false;
  if (apiEndpoint !== undefined && row.api_endpoint !== apiEndpoint) return false;
  return model === undefined || row.model === model || row.requested_model === model;
}
