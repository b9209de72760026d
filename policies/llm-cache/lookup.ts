import type { OpenExchange } from '../shared/exchange.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import type { KeyMaterial } from './key.ts';
import type { Tally } from './stats.ts';

/** A request that the cache takes part in, and what it is known by. */
export interface Lookup {
  readonly exchange: OpenExchange;
  /** Who asks, by its id; null without one. */
  readonly consumer: string | null;
  readonly tally: Tally;
  readonly controls: ClientControls;
  readonly body: RequestBody;
  readonly key: string;
  /** What the key was made of. */
  readonly material: KeyMaterial;
}
