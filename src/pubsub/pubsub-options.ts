/** Checks the options of `new PubSub`, and fills in the defaults. */

import { systemClock } from "../adapters/shared/system-clock.ts";
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import type { PubSubOptions } from "./options.ts";

const DEFAULTS = {
  linger: 2_000,
  probe: 15_000,
  maxUnacknowledged: 8 * 1024 * 1024,
  beat: 5_000,
  down: 30_000,
  clock: systemClock,
};

const NUMBERS = ["linger", "probe", "maxUnacknowledged", "beat", "down"] as const;
const NAMES = ["backplane", "codec", "strict", "onEvent", "clock", ...NUMBERS];

/**
 * @throws TypeError for an unknown or invalid option, RangeError for a number that is not above zero, and unless `down`
 * is above `beat`
 */
export const checkPubSubOptions = (options: PubSubOptions): PubSubOptions & typeof DEFAULTS => {
  checkKeys(options, NAMES);
  for (const name of NUMBERS) {
    const value = options[name] ?? 1;
    if (typeof value !== "number")
      throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be a number, not ${show(value)}`);
    if (!(value > 0))
      throw codedRangeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be above zero, not ${value}`);
  }
  const { beat = DEFAULTS.beat, down = DEFAULTS.down } = options;
  if (down <= beat)
    throw codedRangeError("WEBSOCK_INVALID_OPTION", `option "down" (${down}) must be above option "beat" (${beat})`);
  if (options.backplane !== undefined && typeof options.backplane?.connect !== "function")
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "backplane" must be a backplane, not ${show(options.backplane)}`,
    );
  return { ...DEFAULTS, ...withoutUndefined(options) };
};

const withoutUndefined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
