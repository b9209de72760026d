import { ConfigurationError } from '../../../schemas/validate.ts';
import type { ConsumerDirectory } from '../../admin/consumers.ts';

/** What the app knows of its consumers, for the admin routes. Both functions may be asynchronous. */
export interface ConsumerNaming {
  /** What the consumer with that id is called; nothing (undefined, null, '') where it has no name. */
  nameOf(id: string): unknown;
  /** The ids of the consumers of that name. Default: consumers are asked for by id alone. */
  find?(name: string): readonly string[] | Promise<readonly string[]>;
}

/** Throws a ConfigurationError where that is no naming. */
export function appConsumers(naming: ConsumerNaming | undefined): ConsumerDirectory | null {
  if (naming === undefined) return null;
  for (const [name, value] of [
    ['nameOf', naming.nameOf],
    ['find', naming.find ?? (() => [])],
  ] as const) {
    if (typeof value === 'function') continue;
    throw new ConfigurationError(
      `createLlmCache: "consumers.${name}" must be a function, got ${typeof value}`,
    );
  }
  const nameOf = async (id: string) => {
    const name = await naming.nameOf(id);
    return typeof name === 'string' && name !== '' ? name : null;
  };
  return {
    nameOf,
    find: async (text) => {
      if (naming.find === undefined) return [text];
      const found = await naming.find(text);
      if (found.length > 0) return found;
      return (await nameOf(text)) === null ? [] : [text];
    },
  };
}
