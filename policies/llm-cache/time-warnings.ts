const names = ['ttl', 'maxTtl', 'staleIfError', 'nearTtl'] as const;

const daySeconds = 86_400;
const yearSeconds = 365 * daySeconds;

/** Below it a round number of milliseconds is a plausible number of seconds, too. */
const fiveMinutesMs = 300_000;

/** Times that are likely in the wrong unit, a sentence each. `where` begins every sentence. */
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

/** More than a year, or whole minutes in milliseconds that are not whole days in seconds. */
function looksLikeMilliseconds(seconds: number): boolean {
  if (seconds > yearSeconds) return true;
  return seconds >= fiveMinutesMs && seconds % 60_000 === 0 && seconds % daySeconds !== 0;
}
