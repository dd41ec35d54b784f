/** Checks a stop before any connection is ended, and before it is sent to other nodes. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import { checkStopOptions, defaultCloseCode, type StopDetail } from "../result.ts";
import { checkCloseDetail, checkMessages } from "../session/outgoing.ts";

/** @throws TypeError or RangeError as `self.stop` does, and TypeError for a reason that is not a string */
export const checkStop = (reason: unknown, detail: StopDetail): void => {
  if (typeof reason !== "string")
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `the stop reason must be a string, so that it reaches other nodes, not ${show(reason)}`,
    );
  checkStopOptions(detail, "abort");
  checkCloseDetail([detail.code ?? defaultCloseCode(reason), detail.text ?? null]);
  checkMessages(detail.messages ?? [], portableByteOps);
};
