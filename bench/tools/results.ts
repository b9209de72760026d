import { writeFileSync } from 'node:fs';
import { median, type Table, text } from './figures.ts';

/** Writes `bench/RESULTS.md` and its picture. */
export function writeResults(tables: readonly Table[], machine: string): void {
  writeFileSync('bench/results.svg', picture(tables));
  writeFileSync('bench/RESULTS.md', `${document(tables, machine).join('\n')}\n`);
}

function document(tables: readonly Table[], machine: string): string[] {
  const lines = [
    '# What it costs',
    '',
    `Made by \`npm run bench -- --write\` on ${machine}. The two sides of a ratio are measured in turn, round by round, in one run; a figure is the median of its rounds (the least – the most). \`×\` is ours of theirs: throughput is better above 1, everything else below.`,
    '',
    '![The ratios as bars; the line is 1](results.svg)',
  ];
  for (const { title, note, columns, rows } of tables) {
    lines.push('', `## ${title}`, '', note, '', `| ${columns.join(' | ')} |`);
    lines.push(`|${' --- |'.repeat(columns.length)}`);
    for (const { what, cells } of rows) lines.push(`| ${[what, ...cells.map(text)].join(' | ')} |`);
  }
  return lines;
}

const [width, height, from, unit] = [760, 18, 330, 260];
const widest = (width - from - 60) / unit;

/** Draws one bar per ratio, a dashed line at 1, and a thin line from the least to the greatest value. */
function picture(tables: readonly Table[]): string {
  const parts: string[] = [];
  let y = 10;
  for (const { title, columns, rows, bar } of tables) {
    if (bar === undefined) continue;
    y += height;
    parts.push(label(0, y, `${title}: ${columns[bar + 1]}`, 'font-weight="bold"'));
    for (const { what, cells } of rows) {
      const values = cells[bar]?.values ?? [];
      const x = (value: number) => from + Math.min(value, widest) * unit;
      const middle = median(values);
      y += height;
      parts.push(
        label(from - 8, y, what, 'text-anchor="end"'),
        `<rect x="${from}" y="${y - 12}" width="${(x(middle) - from).toFixed(1)}" height="13" fill="#4a7ebb"/>`,
        `<path d="M${x(Math.min(...values)).toFixed(1)} ${y - 5.5}H${x(Math.max(...values)).toFixed(1)}" stroke="#222"/>`,
        label(x(Math.max(...values)) + 5, y, `${middle.toFixed(2)} ×`, ''),
      );
    }
    y += height / 2;
  }
  const line = `<path d="M${from + unit} 10V${y}" stroke="#b33" stroke-dasharray="3 3"/>`;
  const size = `viewBox="0 0 ${width} ${y + 10}" width="${width}" height="${y + 10}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}${line}</svg>\n`;
}

function label(x: number, y: number, words: string, more: string): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(0)}" y="${y}" ${more}>${safe}</text>`;
}
