const known = new WeakMap<readonly string[], readonly string[]>();

/** Header names out of a setting: in lower case, each once, in order. The list must not change any more. */
export function headerNames(setting: readonly string[]): readonly string[] {
  let names = known.get(setting);
  if (names === undefined) {
    names = [...new Set(setting.map((name) => name.toLowerCase()))].toSorted();
    known.set(setting, names);
  }
  return names;
}
