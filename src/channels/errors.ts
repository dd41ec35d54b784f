/** The errors of channels. */
import { withCode } from "../error-codes.ts";

/**
 * More than 1 024 events, or 1 MiB of messages, wait for a callback of a channel, or 16 MiB for all channels of a
 * connection. The channel has ended, and the client has received `phx_error`, or an error as the reply to its join.
 * `terminate` receives this error as `{ error: ChannelOverflow }`, and it is reported to `onError`.
 */
export class ChannelOverflow extends Error {
  override readonly name = "ChannelOverflow";
  readonly code = "WEBSOCK_CHANNEL_OVERFLOW";

  constructor(message: string) {
    super(withCode("WEBSOCK_CHANNEL_OVERFLOW", message));
  }
}

/**
 * `join`, or the subscription to the topic, was pending for `joinTimeout`. The client has received an error as the
 * reply to its join. This error is reported to `onError`. If `join` accepts afterwards, `terminate` receives it as
 * `{ error: JoinTimeout }`.
 */
export class JoinTimeout extends Error {
  override readonly name = "JoinTimeout";
  readonly code = "WEBSOCK_JOIN_TIMEOUT";

  constructor(message: string) {
    super(withCode("WEBSOCK_JOIN_TIMEOUT", message));
  }
}
