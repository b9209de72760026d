import type { RateSettings } from '../../schemas/plugin.ts';

/** USD per million tokens; a kind without a rate of its own is not there. */
export type Rates = Readonly<Partial<Record<RateName, number>>>;

export type RateName = keyof RateSettings;

/** What one model costs. A price may depend on how long the input is. */
export interface Price {
  rates(inputTokens: number): Rates;
  /** What terms apart from the standard ones make of the price of tokens; of others it is not known. */
  readonly factors?: Readonly<Record<string, number>>;
  /** What it leaves out, where it is known that there is more to pay. */
  readonly without?: string;
}
