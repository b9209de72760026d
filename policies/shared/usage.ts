/** Tokens as a provider counts them; null where it said nothing. */
export interface Usage {
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** The provider's own total, else the sum of the two. */
  readonly totalTokens: number | null;
  /** Parts of the above and units beside tokens, under the names of `detailNames`. */
  readonly details: Readonly<Record<string, number>>;
}
