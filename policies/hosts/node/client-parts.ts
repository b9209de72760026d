import type { ServerResponse } from 'node:http';
import type { Counts } from '../../llm-cache/stats.ts';
import type { FaultLog } from '../../shared/faults.ts';
import type { NodeExchange } from './exchange.ts';

/** What a NodeClient needs to answer its client. */
export interface NodeClientParts {
  readonly exchange: NodeExchange;
  readonly res: ServerResponse;
  readonly tally: Counts;
  readonly faults: FaultLog;
  /** Whether the proxy is the next policy for a request that is passed on. */
  readonly isProxyNext: boolean;
  /** How far a slow reader of a shared stream may fall behind, in bytes. */
  readonly maxBehind: number;
}
