import { ConfigurationError } from '../../../schemas/validate.ts';
import type { ConsumerDirectory } from '../../admin/consumers.ts';

/** Names the app's consumers for the admin routes. Both functions may be asynchronous. */
export interface ConsumerNaming {
  /** Returns the name of the consumer with that id, or undefined, null or '' if it has no name. */
  nameOf(id: string): unknown;
  /** Returns the ids of the consumers with that name. Default: `name` is taken for an id. */
  find?(name: string): readonly string[] | Promise<readonly string[]>;
}

/**
 * Returns the directory of the app's consumers; null without `naming`. Throws a ConfigurationError
 * if `naming` is invalid.
 */
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
