import type { Exchange } from '../shared/exchange.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';

/** A request that the cache takes part in, and what it is known by. */
export interface Lookup {
  readonly exchange: Exchange;
  readonly pipeline: string;
  readonly controls: ClientControls;
  readonly body: RequestBody;
  readonly key: string;
}
