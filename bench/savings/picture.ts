import { policies, type Policy, type Savings } from './figures.ts';

const [barHeight, gap, from, unit] = [9, 12, 190, 460];
const shown = ['worth', 'lru', 's3Fifo', 'wTinyLfu'] as const satisfies readonly Policy[];
const colours: Readonly<Record<(typeof shown)[number], string>> = {
  worth: '#2a6f4e',
  lru: '#b0b7bf',
  s3Fifo: '#7f9cc0',
  wTinyLfu: '#c0a27f',
};

/** Draws one group of bars per trace and one bar per policy; the thin line is the upper bound. */
export function picture(all: readonly Savings[]): string {
  const parts: string[] = [];
  let y = 28;
  for (const [at, policy] of shown.entries()) {
    const x = from + at * 125;
    parts.push(`<rect x="${x}" y="8" width="10" height="10" fill="${colours[policy]}"/>`);
    parts.push(words(x + 15, 17, policies[policy]));
  }
  for (const { trace, shares } of all) {
    const top = y;
    parts.push(words(from - 8, y + 2 * barHeight + 4, trace.name, 'text-anchor="end"'));
    for (const policy of shown) {
      const width = (shares[policy] * unit).toFixed(1);
      parts.push(
        `<rect x="${from}" y="${y}" width="${width}" height="${barHeight - 1}" fill="${colours[policy]}"/>`,
      );
      y += barHeight;
    }
    const most = (from + shares.clairvoyant * unit).toFixed(1);
    parts.push(`<path d="M${most} ${top}V${y}" stroke="#222"/>`);
    y += gap;
  }
  const size = `viewBox="0 0 700 ${y}" width="700" height="${y}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>\n`;
}

function words(x: number, y: number, text: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more}>${text}</text>`;
}
