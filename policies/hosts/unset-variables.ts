import { readFileSync } from 'node:fs';
import process from 'node:process';
import { ConfigurationError } from '../../schemas/validate.ts';
import { isObject } from '../shared/json/json.ts';

/** A line of a configuration file, and what the gateway makes of it. */
interface Line {
  readonly written: string;
  readonly read: string;
  readonly variable: string;
}

interface Leaf {
  /** Names and numbers of members, with dots between. */
  readonly path: string;
  /** The name that stands in front of it in the file. */
  readonly member: string;
  readonly value: unknown;
}

/**
 * The environment variables that a configuration file names and that are not set. The gateway replaces
 * each by the word null: the null value where the variable stands alone, else a part of a text.
 */
export class UnsetVariables {
  readonly #lines: readonly Line[];

  private constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  static readonly none = new UnsetVariables([]);

  /** Reads the file as it is now; none where it cannot be read. */
  static in(file: string | undefined): UnsetVariables {
    if (file === undefined) return UnsetVariables.none;
    try {
      return UnsetVariables.of(readFileSync(file, 'utf8'), process.env);
    } catch {
      return UnsetVariables.none;
    }
  }

  static of(text: string, env: Readonly<Record<string, string | undefined>>): UnsetVariables {
    return new UnsetVariables(
      text.split(/\r?\n/).flatMap((written) => {
        if (written.trimStart().startsWith('#')) return [];
        const variables: string[] = [];
        const read = written.replaceAll(
          // As the gateway reads them: "$${NAME}" is left alone, "${NAME:-value}" has a value.
          /\$?\$\{([A-Za-z0-9_]+)(?::-(.*?))?\}/g,
          (whole, name: string, otherwise: string | undefined) => {
            if (whole.startsWith('$$')) return whole;
            const value = Object.hasOwn(env, name) ? env[name] : otherwise || undefined;
            if (value === undefined) variables.push(name);
            return value ?? 'null';
          },
        );
        return variables.map((variable) => ({ written, read, variable }));
      }),
    );
  }

  /**
   * Returns what `judge` returns for `value`, which was read from the file. Throws a ConfigurationError
   * that names the variable where one became part of a text, or where it is why `judge` throws.
   */
  explain<T>(value: unknown, where: string, judge: () => T): T {
    if (this.#lines.length === 0) return judge();
    const leaves = [...leavesOf(value)];
    for (const leaf of leaves) {
      const variable = this.#inText(leaf);
      if (variable === undefined) continue;
      throw new ConfigurationError(
        `${where}: "${leaf.path}" contains the environment variable ${variable}, which is not set; set it, or write a default: \${${variable}:-value}`,
      );
    }
    try {
      return judge();
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      const unset = leaves.flatMap((leaf) => {
        const variable = error.message.includes(`"${leaf.path}"`) ? this.#inPlaceOf(leaf) : null;
        return variable ? [variable] : [];
      });
      if (unset.length === 0) throw error;
      throw new ConfigurationError(
        `${error.message}; this environment variable is not set: ${[...new Set(unset)].join(', ')}`,
      );
    }
  }

  /** The variable that has become part of a text. */
  #inText({ member, value }: Leaf): string | undefined {
    if (typeof value !== 'string' || !value.includes('null')) return undefined;
    const line = this.#lines.find(
      ({ written, read }) =>
        read.includes(value) && !written.includes(value) && isAbout(written, member),
    );
    return line?.variable;
  }

  /** The variable that stands for the whole value. */
  #inPlaceOf({ member, value }: Leaf): string | undefined {
    if (value !== null) return undefined;
    return this.#lines.find(({ written }) => isAbout(written, member))?.variable;
  }
}

/** A list may have its members on lines of their own. */
function isAbout(line: string, member: string): boolean {
  return line.includes(member) || /^\s*- /.test(line);
}

function* leavesOf(value: unknown, path = '', member = ''): Generator<Leaf> {
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries()) yield* leavesOf(one, below(path, String(at)), member);
  } else if (isObject(value)) {
    for (const [name, one] of Object.entries(value)) yield* leavesOf(one, below(path, name), name);
  } else {
    yield { path, member, value };
  }
}

function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
