/** Run-time checks of what callbacks return: JavaScript applications have no types. */
import { codedTypeError } from "../error-codes.ts";
import type { Messages } from "../message.ts";
import type { HandleResult } from "../result.ts";
import type { CallbackName } from "./handler.ts";

/** A separate check for the most frequent result of `handleIn`. */
export const isPush = (value: unknown): value is readonly ["push", Messages, state: unknown] =>
  Array.isArray(value) && value[0] === "push" && value.length === 3;

export const isResult = (value: unknown): value is HandleResult<unknown> => {
  if (!Array.isArray(value)) return false;
  const tag: unknown = value[0];
  const { length } = value;
  if (tag === "push") return length === 3;
  if (tag === "ok") return length === 2;
  if (tag === "reply") return length === 4;
  return tag === "stop" && length >= 3 && length <= 5;
};

/** The state is always the last element. */
export const stateOf = (result: HandleResult<unknown>): unknown => result[result.length - 1];

/** @throws TypeError that names the callback */
export const refuseResult = (value: unknown, callback: CallbackName): never => {
  const got = Array.isArray(value) ? `an array that begins with ${describe(value[0])}` : describe(value);
  throw codedTypeError(
    "WEBSOCK_INVALID_RESULT",
    `"${callback}" returned ${got}; it must return ok(…), push(…), reply(…) or stop(…)`,
  );
};

const describe = (value: unknown): string =>
  typeof value === "string"
    ? JSON.stringify(value)
    : typeof value === "object" && value !== null
      ? "an object"
      : String(value);
