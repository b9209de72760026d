import { bombs, loop, pieces, readers, stalled } from './bounds.ts';
import { crowd } from './crowd.ts';
import { deaths } from './deaths.ts';
import { frozen, killed } from './redis.ts';
import type { Scenario } from './scenario.ts';
import { damage, hesitation } from './shared.ts';
import { soak } from './soak.ts';
import { tenants } from './tenants.ts';
import { leavers, lies } from './upstream.ts';

/** All scenarios, by their names in the script and the table. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  crowd,
  tenants,
  frozen,
  killed,
  hesitation,
  damage,
  lies,
  deaths,
  leavers,
  pieces,
  stalled,
  readers,
  loop,
  bombs,
  soak,
};
