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

/** A request to try the cache with. */
export interface Tryout {
  /** Of the gateway; null where it is not known. */
  readonly port: number | null;
  readonly path: string;
  readonly needsCredential: boolean;
}

/** What the routes show and steer, as it stands at each request. */
export interface AdminServices {
  readonly stats: CacheStats;
  readonly stores: Readonly<Record<string, StoreStats>>;
  readonly entryStores: EntryStores;
  /** What the entries of a store are exported and imported under. */
  sealOf(store: string): Seal;
  readonly sinks: Readonly<Record<string, SinkStats>>;
  /** Requests that read along with another at the moment. */
  readonly joiners: number;
  /** Bytes of bodies held at the moment. */
  readonly bufferedBytes: number;
  readonly ledger: Ledger;
  readonly tryout: Tryout | null;
  readonly consumers: ConsumerNames;
  readonly prices: PriceList;
  readonly requests: RecentRequests;
  budgets(): Promise<readonly BudgetState[]>;
  /** Null where no store has the name any more. */
  storeNamed(name: string): Store | null;
  readonly explain: ExplainServices;
  /** The metrics as text, and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export interface AdminOptions {
  /** Throws an AdminError as long as there is no configuration. */
  readonly current: () => AdminServices;
  /** Where the dashboard's files are. */
  readonly pageFolder: string;
  /** Of this package. */
  readonly version: string;
  readonly faults: FaultLog;
  /** The hosts that they answer to at the moment. */
  readonly hosts: () => AdminHosts;
}
