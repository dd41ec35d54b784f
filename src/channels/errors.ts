/** The errors of channels. */
import { withCode } from "../error-codes.ts";

/**
 * More than 1 024 events, or 1 MiB of messages, wait for a slow callback of a channel. The channel has ended, and the
 * client has received `phx_error`. `terminate` receives this error as `{ error: ChannelOverflow }`, and it is
 * reported to `onError`.
 */
export class ChannelOverflow extends Error {
  override readonly name = "ChannelOverflow";
  readonly code = "WEBSOCK_CHANNEL_OVERFLOW";
  constructor(message: string) {
    super(withCode("WEBSOCK_CHANNEL_OVERFLOW", message));
  }
}
