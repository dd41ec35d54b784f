/** Whether a callback returned what it may return; types do not reach JavaScript. */
import type { HandleResult } from "../result.ts";
import type { CallbackName } from "./handler.ts";

/** For each tag, how long its tuple is at least and at most. The state is always the last element. */
const LENGTHS: Readonly<Record<string, readonly [min: number, max: number]>> = {
  ok: [2, 2],
  push: [3, 3],
  reply: [4, 4],
  stop: [3, 5],
};

export const isResult = (value: unknown): value is HandleResult<unknown> => {
  if (!Array.isArray(value) || typeof value[0] !== "string" || !Object.hasOwn(LENGTHS, value[0])) return false;
  const [min, max] = LENGTHS[value[0]]!;
  return value.length >= min && value.length <= max;
};

export const stateOf = (result: HandleResult<unknown>): unknown => result[result.length - 1];

/** @throws TypeError that names the callback */
export const refuseResult = (value: unknown, callback: CallbackName): never => {
  const got = Array.isArray(value) ? `a list that begins with ${describe(value[0])}` : describe(value);
  throw new TypeError(`${callback} returned ${got}; it must return ok(…), push(…), reply(…) or stop(…)`);
};

const describe = (value: unknown): string =>
  typeof value === "string"
    ? JSON.stringify(value)
    : typeof value === "object" && value !== null
      ? "an object"
      : String(value);
