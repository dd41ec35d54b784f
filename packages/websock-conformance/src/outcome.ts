/** How a case ends. */

/** From the best to the worst. */
export const OUTCOMES = ["ok", "informational", "non-strict", "unimplemented", "failed"] as const;

/**
 * - `ok`: as the RFC says.
 * - `informational`: the RFC leaves it open; the reason tells what the server does.
 * - `non-strict`: against a SHOULD, or later than it could be known.
 * - `unimplemented`: the server does not have what the case is about.
 * - `failed`: against a MUST, or not an echo.
 */
export type Outcome = (typeof OUTCOMES)[number];

export const worse = (a: Outcome, b: Outcome): Outcome => (OUTCOMES.indexOf(a) > OUTCOMES.indexOf(b) ? a : b);

/** Ends a case as `failed`. */
export class Failure extends Error {}

/** Ends a case as `unimplemented`. */
export class Unimplemented extends Error {}
