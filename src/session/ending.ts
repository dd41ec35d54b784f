/** What a session keeps from the moment its end is decided. */
import type { CloseReason } from "../websock.ts";

/** An object of its own, so that an open session, which most of them are, does not need memory for these fields. */
export class Ending {
  /** What `terminate` receives. */
  readonly reason: CloseReason;
  /** When the transport is aborted because the peer has not completed the closing handshake; `undefined`: never. */
  abortAt: number | undefined = undefined;
  /** `terminate` is running, or its promise is pending. */
  isTerminating = false;
  /** The session has been removed from its group, and its clock has forgotten it. */
  isReleased = false;

  constructor(reason: CloseReason) {
    this.reason = reason;
  }
}
