const camelHumps = /([a-z0-9])([A-Z])/g;
const separators = /[^a-z0-9]+/;

/** Returns the lower-case words of a name: `user_id`, `userId` and `a.b/user-id` all have `user` and `id`. */
export function wordsOf(name: string): string[] {
  return name
    .replace(camelHumps, '$1 $2')
    .toLowerCase()
    .split(separators)
    .filter((word) => word !== '');
}
