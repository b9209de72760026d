import type { ServerResponse } from 'node:http';
import type { Counts } from '../../llm-cache/stats.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { NodeExchange } from './exchange.ts';

/** What answers a client are written with. */
export interface NodeClientParts {
  readonly exchange: NodeExchange;
  readonly res: ServerResponse;
  readonly tally: Counts;
  readonly faults: FaultLog;
  /** Whether a request that goes on comes to the proxy, with no other policy between. */
  readonly isProxyNext: boolean;
  /** How far a slow reader of a shared stream may be behind, in bytes. */
  readonly maxBehind: number;
}
