import type { LlmRequest } from '../shared/exchange.ts';
import type { BodyFacts } from '../shared/request-body.ts';
import type { ClientControls } from './client-controls.ts';
import type { Items } from './items/items.ts';
import type { KeyMaterial } from './key.ts';
import type { Counts } from './stats.ts';

/** A request that the cache handles, with its key. */
export interface Lookup {
  readonly request: LlmRequest;
  readonly tally: Counts;
  readonly controls: ClientControls;
  readonly facts: BodyFacts;
  readonly key: string;
  /** What the key is computed from. */
  readonly material: KeyMaterial;
  /** The inputs to ask the upstream for, if each is stored separately; else null. */
  readonly items: Items | null;
}
