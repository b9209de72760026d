import process from 'node:process';
import { writeTable } from './tools/document.ts';
import { bombs, loop, pieces, readers, stalled } from './reliability/bounds.ts';
import { crowd } from './reliability/crowd.ts';
import { deaths } from './reliability/deaths.ts';
import { frozen, killed } from './reliability/redis.ts';
import type { Scenario } from './reliability/scenario.ts';
import { damage, hesitation } from './reliability/shared.ts';
import { soak } from './reliability/soak.ts';
import { tenants } from './reliability/tenants.ts';
import { leavers, lies } from './reliability/upstream.ts';

// The reliability table of docs/performance.md: `npm run bench:reliability`, with `-- --write` into
// that document, with names of scenarios only those. SOAK_SECONDS sets how long the soak takes.

const scenarios: Readonly<Record<string, Scenario>> = {
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

async function main(): Promise<void> {
  const wanted = process.argv.slice(2).filter((word) => Object.hasOwn(scenarios, word));
  const rows = ['| what | figures |', '| --- | --- |'];
  let held = true;
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const finding = await scenario();
    held &&= finding.held;
    console.log(
      `${finding.held ? 'held  ' : 'FAILED'} ${name}: ${finding.what}\n       ${finding.figures}`,
    );
    rows.push(`| ${finding.what} | ${finding.figures} |`);
  }
  if (process.argv.includes('--write')) writeTable('reliability', rows);
  process.exitCode = held ? 0 : 1;
}

void main();
