import { readFileSync } from 'node:fs';
import process from 'node:process';
import { ConfigurationError } from '../../schemas/validate.ts';
import { isObject } from '../shared/json/json.ts';

/** A line of a configuration file, as written and after the gateway's substitution. */
interface Line {
  readonly written: string;
  readonly read: string;
  readonly variable: string;
}

/** A scalar value of the configuration. */
interface Leaf {
  /** The names and indexes that lead to it, joined by dots. */
  readonly path: string;
  /** The nearest member name on the path. */
  readonly member: string;
  readonly value: unknown;
}

/**
 * The environment variables that a configuration file names but that are not set. The gateway replaces
 * each with the word null, which becomes the null value if the variable stands alone, and otherwise
 * part of a text.
 */
export class UnsetVariables {
  readonly #lines: readonly Line[];

  private constructor(lines: readonly Line[]) {
    this.#lines = lines;
  }

  static readonly none = new UnsetVariables([]);

  /** Reads the file now. Returns `none` if it cannot be read. */
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
          // The gateway's syntax: "$${NAME}" stays unchanged, and "${NAME:-value}" has a default.
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
   * Returns what `check` returns for `value`, which was read from the file. Throws a ConfigurationError
   * that names the unset variable if one became part of a text, or if one is why `check` throws.
   */
  explain<T>(value: unknown, where: string, check: () => T): T {
    if (this.#lines.length === 0) return check();
    const leaves = [...leavesOf(value)];
    for (const leaf of leaves) {
      const variable = this.#inText(leaf);
      if (variable === undefined) continue;
      throw new ConfigurationError(
        `${where}: "${leaf.path}" contains the environment variable ${variable}, which is not set; set it, or write a default: \${${variable}:-value}`,
      );
    }
    try {
      return check();
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

  /** The unset variable that has become part of a text. */
  #inText({ member, value }: Leaf): string | undefined {
    if (typeof value !== 'string' || !value.includes('null')) return undefined;
    const line = this.#lines.find(
      ({ written, read }) =>
        read.includes(value) && !written.includes(value) && isAbout(written, member),
    );
    return line?.variable;
  }

  /** The unset variable that was the whole value. */
  #inPlaceOf({ member, value }: Leaf): string | undefined {
    if (value !== null) return undefined;
    return this.#lines.find(({ written }) => isAbout(written, member))?.variable;
  }
}

/** Whether a line may set `member`: it names the member, or is an item of a list. */
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
