/** Checks the options of `topic.subscribe`. */
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import type { SubscribeOptions } from "./options.ts";

/** @throws TypeError or RangeError for invalid options */
export const checkSubscribeOptions = (options: SubscribeOptions<unknown>): void => {
  checkKeys(options, ["slow", "maxBuffered", "onGap"]);
  const { slow = "close", maxBuffered = 1, onGap } = options;
  if (slow !== "close" && slow !== "drop")
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "slow" must be "close" or "drop", not ${show(slow)}`);
  if (typeof maxBuffered !== "number")
    throw codedTypeError("WEBSOCK_INVALID_OPTION", 'option "maxBuffered" must be a number of bytes');
  if (!(maxBuffered > 0)) throw codedRangeError("WEBSOCK_INVALID_OPTION", 'option "maxBuffered" must be above zero');
  if (onGap !== undefined && typeof onGap !== "function")
    throw codedTypeError("WEBSOCK_INVALID_OPTION", 'option "onGap" must be a function');
};
