/** The outcomes of a case. */

/** Every outcome, from the best to the worst. */
export const OUTCOMES = ["ok", "informational", "non-strict", "unimplemented", "failed"] as const;

/**
 * - `ok`: the server does what the RFC says.
 * - `informational`: the RFC leaves it open; the reason says what the server does.
 * - `non-strict`: the server violates a SHOULD, or detects an error later than it could.
 * - `unimplemented`: the server lacks the feature.
 * - `failed`: the server violates a MUST, or does not send the message back.
 */
export type Outcome = (typeof OUTCOMES)[number];

export const worse = (a: Outcome, b: Outcome): Outcome => (OUTCOMES.indexOf(a) > OUTCOMES.indexOf(b) ? a : b);

/** Ends a case as `failed`. */
export class Failure extends Error {}

/** Ends a case as `unimplemented`. */
export class Unimplemented extends Error {}
