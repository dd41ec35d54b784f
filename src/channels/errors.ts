/** The errors of channels. */

/**
 * More than 1 024 events, or 1 MiB of messages, wait for a slow callback of a channel, or 4 MiB for all channels of the
 * connection. The channel has ended, and the client has received `phx_error`. `terminate` receives this error as `{ error: ChannelOverflow }`, and it is
 * reported to `onError`.
 */
export class ChannelOverflow extends Error {
  override readonly name = "ChannelOverflow";
}
