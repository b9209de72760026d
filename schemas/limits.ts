/** A hundred years, so that no expiry date overflows. */
export const maxSeconds = 3_155_760_000;

/** A day. A timer of more than 24 days would fire at once. */
export const maxTimerSeconds = 86_400;
export const maxTimerMs = 86_400_000;
