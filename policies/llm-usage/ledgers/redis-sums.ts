import { noSums, sumNames, type Sums } from '../ledger.ts';

const picoPerDollar = 10n ** 12n;

/**
 * The sums of a group as Redis keeps them, whose numbers end at 2^63: of a cost the whole dollars and
 * what is below one stand apart.
 */
export class RedisSums {
  readonly #fields = new Map<string, bigint>();

  /** What is to be added to each field; none of it is 0. */
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

  /** Others can write there too: what is no number is not taken. A scan may tell a field twice. */
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
