import type { LlmRequest } from '../shared/exchange.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import type { Items } from './items/items.ts';
import type { KeyMaterial } from './key.ts';
import type { Counts } from './stats.ts';

/** A request that the cache takes part in, and what it is known by. */
export interface Lookup {
  readonly request: LlmRequest;
  readonly tally: Counts;
  readonly controls: ClientControls;
  readonly facts: BodyFacts;
  readonly key: string;
  /** What the key was made of. */
  readonly material: KeyMaterial;
  /** The inputs that the upstream is asked for, where each is stored by itself; else null. */
  readonly items: Items | null;
}
