const names = ['ttl', 'maxTtl', 'staleIfError', 'nearTtl'] as const;

const yearSeconds = 365 * 86_400;

/** Times of more than a year, a sentence each: likely milliseconds. `where` begins every sentence. */
export function timeWarnings(
  times: { readonly [Name in (typeof names)[number]]?: unknown },
  where: string,
): readonly string[] {
  return names.flatMap((name) => {
    const seconds = times[name];
    if (typeof seconds !== 'number' || seconds <= yearSeconds) return [];
    return [
      `${where}: "${name}" is ${seconds} seconds, more than a year; it is in seconds, not in milliseconds`,
    ];
  });
}
