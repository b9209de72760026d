import { noSums, sumNames, type Sums } from '../ledger.ts';

const picoPerDollar = 10n ** 12n;

/**
 * The sums of a group as Redis stores them. Redis integers end at 2^63, so a cost is split into
 * whole dollars and the picodollars below one.
 */
export class RedisSums {
  readonly #fields = new Map<string, bigint>();

  /** Returns the non-zero increment of each field. */
  static fieldsOf(sums: Sums): readonly (readonly [name: string, more: bigint])[] {
    return sumNames
      .flatMap((name) => {
        if (!name.endsWith('_pico')) return [[name, sums[name]] as const];
        return [
          [name, sums[name] % picoPerDollar] as const,
          [dollarsOf(name), sums[name] / picoPerDollar] as const,
        ];
      })
      .filter(([, sum]) => sum !== 0n);
  }

  /**
   * Ignores a value that is not a number: another program can write there. HSCAN may return a field
   * twice.
   */
  set(name: string, value: string): void {
    if (/^\d{1,19}$/.test(value)) this.#fields.set(name, BigInt(value));
  }

  read(): Sums {
    const sums = noSums();
    for (const name of sumNames) {
      const dollars = this.#fields.get(dollarsOf(name)) ?? 0n;
      sums[name] = (this.#fields.get(name) ?? 0n) + dollars * picoPerDollar;
    }
    return sums;
  }
}

function dollarsOf(name: string): string {
  return name.endsWith('_pico') ? name.replace(/pico$/, 'usd') : '';
}
