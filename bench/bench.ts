import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import process from 'node:process';
import { deno } from './speed/deno.ts';
import { hit } from './speed/hit.ts';
import { joiners } from './speed/joiners.ts';
import { key } from './speed/key.ts';
import { memory } from './speed/memory.ts';
import { miss } from './speed/miss.ts';
import { nginx } from './speed/nginx.ts';
import { stores } from './speed/stores.ts';
import { streams } from './speed/streams.ts';
import { type Scenario, type Table, text } from './tools/figures.ts';
import { writeResults } from './tools/results.ts';

// Measures what the plugin costs: `npm run bench`. Arguments select scenarios by name, and
// `-- --write` writes bench/RESULTS.md. BENCH_SECONDS sets the duration of one round of one side.

const scenarios: Readonly<Record<string, Scenario>> = {
  hit,
  miss,
  streams,
  memory,
  stores,
  joiners,
  deno,
  nginx,
  key,
};

async function main(): Promise<void> {
  const words = process.argv.slice(2);
  const wanted = words.filter((word) => !word.startsWith('--'));
  const unknown = wanted.filter((word) => !Object.hasOwn(scenarios, word));
  if (unknown.length > 0)
    throw new Error(`${unknown.join()}: none of ${Object.keys(scenarios).join()}`);
  const tables: Table[] = [];
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const startedAt = performance.now();
    try {
      const found = await scenario();
      const seconds = Math.round((performance.now() - startedAt) / 1000);
      if (typeof found === 'string') {
        console.log(`\n${name} skipped: ${found}`);
        continue;
      }
      tables.push(found);
      print(found, seconds);
    } catch (error) {
      console.error(`\n${name} FAILED:`, error);
      process.exitCode = 1;
    }
  }
  if (words.includes('--write')) writeResults(tables, machine());
}

function print({ title, columns, rows }: Table, seconds: number): void {
  console.log(`\n${title} (${seconds} s)\n  ${columns.slice(1).join(' | ')}`);
  for (const { what, cells } of rows) console.log(`  ${what}:\n    ${cells.map(text).join(' | ')}`);
}

function machine(): string {
  const revision = execFileSync('git', ['rev-parse', '--short', 'HEAD']).toString().trim();
  const [cpu] = cpus();
  return `${cpus().length} processors (${cpu?.model ?? 'unknown'}), Node ${process.version}, at ${revision}`;
}

void main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
