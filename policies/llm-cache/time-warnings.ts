const names = ['ttl', 'maxTtl', 'staleIfError', 'nearTtl'] as const;

const daySeconds = 86_400;
const yearSeconds = 365 * daySeconds;

/** A smaller round number is plausible both as milliseconds and as seconds. */
const fiveMinutesMs = 300_000;

/** Returns one sentence per time that is likely in the wrong unit. Each sentence begins with `where`. */
export function timeWarnings(
  times: { readonly [Name in (typeof names)[number] | 'coalesceWaitMs']?: unknown },
  where: string,
): readonly string[] {
  const warnings = names.flatMap((name) => {
    const seconds = times[name];
    if (typeof seconds !== 'number' || !looksLikeMilliseconds(seconds)) return [];
    const days = Math.round((10 * seconds) / daySeconds) / 10;
    return [
      `${where}: "${name}" is in seconds, and ${seconds} seconds are ${days} days; if milliseconds were meant, write ${Math.round(seconds / 1000)}`,
    ];
  });
  const { coalesceWaitMs } = times;
  if (typeof coalesceWaitMs === 'number' && coalesceWaitMs < 100) {
    warnings.push(
      `${where}: "coalesceWaitMs" is in milliseconds, and no provider answers within ${coalesceWaitMs} ms; if seconds were meant, write ${coalesceWaitMs * 1000}`,
    );
  }
  return warnings;
}

/** True for more than a year, or for whole minutes in milliseconds that are not whole days in seconds. */
function looksLikeMilliseconds(seconds: number): boolean {
  if (seconds > yearSeconds) return true;
  return seconds >= fiveMinutesMs && seconds % 60_000 === 0 && seconds % daySeconds !== 0;
}
