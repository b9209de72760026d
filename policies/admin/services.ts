import type { RecentRequests } from '../hosts/node/recent-requests.ts';
import type { CacheStats } from '../llm-cache/stats.ts';
import type { Seal } from '../llm-cache/stores/seal.ts';
import type { Store, StoreStats } from '../llm-cache/stores/store.ts';
import type { BudgetState } from '../llm-usage/budgets.ts';
import type { Ledger } from '../llm-usage/ledger.ts';
import type { PriceList } from '../llm-usage/price-list.ts';
import type { SinkStats } from '../llm-usage/sinks/sink.ts';
import type { FaultLog } from '../shared/faults.ts';
import type { ConsumerNames } from './consumers.ts';
import type { EntryStores } from './entry-listing.ts';
import type { ExplainServices } from './explain.ts';
import type { AdminHosts } from './guard.ts';

/** An example request with which to try the cache. */
export interface Tryout {
  /** The gateway's port; null if unknown. */
  readonly port: number | null;
  readonly path: string;
  readonly needsCredential: boolean;
}

/** The services of the routes, in their state at the time of a request. */
export interface AdminServices {
  readonly stats: CacheStats;
  readonly stores: Readonly<Record<string, StoreStats>>;
  readonly entryStores: EntryStores;
  /** Returns the seal under which a store's entries are exported and imported. */
  sealOf(store: string): Seal;
  readonly sinks: Readonly<Record<string, SinkStats>>;
  /** The number of requests joined to another right now. */
  readonly joiners: number;
  /** The bytes of bodies held right now. */
  readonly bufferedBytes: number;
  readonly ledger: Ledger;
  readonly tryout: Tryout | null;
  readonly consumers: ConsumerNames;
  readonly prices: PriceList;
  readonly requests: RecentRequests;
  budgets(): Promise<readonly BudgetState[]>;
  /** Returns null if no store has that name any more. */
  storeNamed(name: string): Store | null;
  readonly explain: ExplainServices;
  /** Returns the metrics as text, with its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export interface AdminOptions {
  /** Throws an AdminError until a configuration is loaded. */
  readonly current: () => AdminServices;
  /** The folder of the dashboard's files. */
  readonly pageFolder: string;
  /** The version of this package. */
  readonly version: string;
  readonly faults: FaultLog;
  /** Returns the host names that the routes currently answer to. */
  readonly hosts: () => AdminHosts;
}
