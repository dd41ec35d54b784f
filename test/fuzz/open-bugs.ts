/**
 * What the sources do not keep yet, each found by these properties, and held back so that they can go on looking for
 * others. Whoever mends one takes it out here; with the last one this file goes.
 */
export const OPEN_BUGS = {
  /** `listOf` trims a no-break space like a space. */
  noBreakSpace: true,
  /** A result whose `then` cannot be read throws into the host. */
  throwingThen: true,
  /** A wire that goes while `terminate` runs is the end, although its promise is pending. */
  goneInTerminate: true,
  /** A slow consumer's refusal in the middle of a list pauses reading after the end. */
  pausedAfterTheEnd: true,
} as const;
