/** Nothing that is longer is taken for a slip of the pen. */
const maxLength = 64;

/** `; did you mean "ttl"?` where one of `known` is a slip of the pen away from `written`; else nothing. */
export function suggestion(written: unknown, known: readonly unknown[]): string {
  const meant = typeof written === 'string' ? closest(written, known) : null;
  return meant === null ? '' : `; did you mean "${meant}"?`;
}

function closest(written: string, known: readonly unknown[]): string | null {
  let best: { readonly name: string; readonly slips: number } | null = null;
  for (const name of known) {
    if (typeof name !== 'string' || name === written) continue;
    if (Math.max(name.length, written.length) > maxLength) continue;
    const slips = slipsBetween(plain(written), plain(name));
    if (slips > Math.max(1, Math.floor(name.length / 3))) continue;
    if (best === null || slips < best.slips) best = { name, slips };
  }
  return best?.name ?? null;
}

/** `max_ttl`, `Max-TTL` and `maxTtl` are one name to who writes them. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Letters that are missing, too many, wrong, or changed places (optimal string alignment). */
function slipsBetween(one: string, other: string): number {
  let [before, last] = [[] as number[], Array.from({ length: other.length + 1 }, (_, at) => at)];
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let at = 1; at <= other.length; at++) {
      const isSame = one[row - 1] === other[at - 1];
      let slips = Math.min(
        (last[at] ?? 0) + 1,
        (next[at - 1] ?? 0) + 1,
        (last[at - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      if (row > 1 && at > 1 && isSwapped) slips = Math.min(slips, (before[at - 2] ?? 0) + 1);
      next.push(slips);
    }
    [before, last] = [last, next];
  }
  return last[other.length] ?? 0;
}
