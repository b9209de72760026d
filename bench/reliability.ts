import process from 'node:process';
import { scenarios } from './reliability/scenarios.ts';
import { writeRows } from './tools/document.ts';

// Runs the scenarios of the reliability table in docs/performance.md: `npm run bench:reliability`.
// Arguments select scenarios by name; `-- --write` replaces their rows in that document. SOAK_SECONDS
// sets the duration of the soak.

async function main(): Promise<void> {
  const wanted = process.argv.slice(2).filter((word) => Object.hasOwn(scenarios, word));
  const rows = new Map<string, string>();
  let held = true;
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const finding = await scenario();
    held &&= finding.held;
    console.log(
      `${finding.held ? 'held  ' : 'FAILED'} ${name}: ${finding.what}\n       ${finding.figures}`,
    );
    rows.set(name, `| \`${name}\` | ${finding.what} | ${finding.figures} |`);
  }
  if (process.argv.includes('--write')) {
    writeRows('reliability', '| scenario | what | figures |', Object.keys(scenarios), rows);
  }
  process.exitCode = held ? 0 : 1;
}

void main();
