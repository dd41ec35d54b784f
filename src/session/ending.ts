/** The state of a session whose end is decided. */
import type { CloseReason } from "../websock.ts";

/** An object of its own, so that open sessions need no memory for these fields. */
export class Ending {
  /** What `terminate` receives. */
  readonly reason: CloseReason;
  /** When the transport is aborted if the peer has not completed the closing handshake; `undefined`: never. */
  abortAt: number | undefined = undefined;
  /** `terminate` is running, or its promise is pending. */
  isTerminating = false;
  /** The session has been removed from its group and its clock. */
  isReleased = false;

  constructor(reason: CloseReason) {
    this.reason = reason;
  }
}
