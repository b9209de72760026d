import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { policies, type Policy, type Savings, savingsOf } from './savings/figures.ts';
import { picture } from './savings/picture.ts';
import { described, synthetic } from './savings/synthetic.ts';
import { readTrace } from './savings/trace-file.ts';
import type { Trace } from './savings/trace.ts';
import { writeTable } from './tools/document.ts';

// Measures which share of the possible savings the memory store achieves: `npm run bench:savings`.
// Arguments select traces by name, or by file with {at, key, bytes, cost} lines. `--memory 16,64` is
// in MiB, `--ttl` in seconds. `--twice` also measures twice the memory. `--compress` lets the store
// compress bodies, of which a tenth (JSON: 1 / 2.3) is noise. `--requests` and `--seed` change the
// synthetic traces. `--write` puts the table and the picture into docs/performance.md.

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    memory: { type: 'string', default: '16,64' },
    ttl: { type: 'string', default: 'none' },
    twice: { type: 'boolean', default: false },
    compress: { type: 'boolean', default: false },
    requests: { type: 'string', default: '200000' },
    // The median of seven seeds: the cost of a few expensive questions sways the savings of a trace.
    seed: { type: 'string', default: '6' },
    write: { type: 'boolean', default: false },
  },
});

const columns = Object.keys(policies) as Policy[];
const share = (value: number) => value.toFixed(2);

async function main(): Promise<void> {
  const ttlMs = options.ttl === 'none' ? 1e12 : Number(options.ttl) * 1000;
  const sizes = options.memory.split(',').map(Number);
  if (![ttlMs, ...sizes].every((one) => one > 0)) throw new Error('--memory and --ttl are numbers');
  const all: Savings[] = [];
  for (const trace of tracesOf(positionals)) {
    console.log(`\n${trace.name}: ${trace.law}`);
    for (const mebibytes of sizes) {
      const savings = await savingsOf(trace, {
        mebibytes,
        ttlMs,
        twice: options.twice,
        compress: options.compress,
      });
      all.push(savings);
      print(savings);
    }
  }
  if (options.write) write(all, Math.min(...sizes));
}

function* tracesOf(names: readonly string[]): Generator<Trace, void> {
  const made = (one: (typeof described)[number]) =>
    synthetic(one, Number(options.seed), Number(options.requests));
  if (names.length === 0) for (const one of described) yield made(one);
  for (const name of names) {
    const one = described.find((known) => known.name === name);
    yield one === undefined ? readTrace(name) : made(one);
  }
}

function print({ mebibytes, shares, twice }: Savings): void {
  const cells = columns.map((policy) => `${policies[policy]} ${share(shares[policy])}`);
  console.log(`  ${mebibytes} MiB: ${cells.join(', ')}; ${times({ shares })} × lru`);
  if (twice === null) return;
  const { estimated, measured } = twice;
  console.log(`    twice the memory: estimated +${share(estimated)}, measured +${share(measured)}`);
}

const times = ({ shares }: Pick<Savings, 'shares'>) => (shares.worth / shares.lru).toFixed(2);

function write(all: readonly Savings[], least: number): void {
  writeTable('savings', [
    `| trace | memory | ${columns.map((policy) => policies[policy]).join(' | ')} | worth / lru |`,
    `|${' --- |'.repeat(columns.length + 3)}`,
    ...all.map((one) => {
      const cells = columns.map((policy) => share(one.shares[policy]));
      return `| ${one.trace.name} | ${one.mebibytes} MiB | ${cells.join(' | ')} | ${times(one)} × |`;
    }),
  ]);
  writeTable('savings-laws', [
    '| trace | law |',
    '| --- | --- |',
    ...new Set(all.map(({ trace }) => `| ${trace.name} | ${trace.law} |`)),
  ]);
  const smallest = all.filter(({ mebibytes }) => mebibytes === least);
  writeFileSync('docs/images/savings.svg', picture(smallest));
}

void main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
