/** A hundred years: what is later is no date any more. */
export const mostSeconds = 3_155_760_000;

/** A day: a timer of more than 24 days would go off at once. */
export const mostWaitSeconds = 86_400;
export const mostWaitMs = 86_400_000;
