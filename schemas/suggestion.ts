/** The longest name that may be taken for a typo. */
const maxLength = 64;

/** Returns `; did you mean "ttl"?` if `written` looks like a typo of one of `known`; else an empty text. */
export function suggestion(written: unknown, known: readonly unknown[]): string {
  const meant = typeof written === 'string' ? closest(written, known) : null;
  return meant === null ? '' : `; did you mean "${meant}"?`;
}

function closest(written: string, known: readonly unknown[]): string | null {
  let best: { readonly name: string; readonly edits: number } | null = null;
  for (const name of known) {
    if (typeof name !== 'string' || name === written) continue;
    if (Math.max(name.length, written.length) > maxLength) continue;
    const edits = editDistance(normalized(written), normalized(name));
    if (edits > Math.max(1, Math.floor(name.length / 3))) continue;
    if (best === null || edits < best.edits) best = { name, edits };
  }
  return best?.name ?? null;
}

/** Maps `max_ttl`, `Max-TTL` and `maxTtl` to one name. */
function normalized(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Counts missing, extra, wrong and swapped letters (optimal string alignment distance). */
function editDistance(one: string, other: string): number {
  let [beforeLast, last] = [
    [] as number[],
    Array.from({ length: other.length + 1 }, (_, at) => at),
  ];
  for (let row = 1; row <= one.length; row++) {
    const next = [row];
    for (let at = 1; at <= other.length; at++) {
      const isSame = one[row - 1] === other[at - 1];
      let edits = Math.min(
        (last[at] ?? 0) + 1,
        (next[at - 1] ?? 0) + 1,
        (last[at - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped = one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1];
      if (row > 1 && at > 1 && isSwapped) edits = Math.min(edits, (beforeLast[at - 2] ?? 0) + 1);
      next.push(edits);
    }
    [beforeLast, last] = [last, next];
  }
  return last[other.length] ?? 0;
}
