import type { RateSettings } from '../../schemas/plugin.ts';

/** USD per million tokens; a kind without its own rate is absent. */
export type Rates = Readonly<Partial<Record<RateName, number>>>;

export type RateName = keyof RateSettings;

/** The price of one model. It may depend on the length of the input. */
export interface Price {
  rates(inputTokens: number): Rates;
  /** Multipliers of token prices under non-standard terms; for any other term the price is unknown. */
  readonly factors?: Readonly<Record<string, number>>;
  /** A charge known to exist that the price leaves out. */
  readonly without?: string;
}
