/** The errors of channels. */

/**
 * More messages than a channel may keep (1 024, or 1 MiB) wait for a callback of it that is slow. The channel has
 * ended, and the client has received `phx_error`. `terminate` receives it as `{ error: ChannelOverflow }`, and it is
 * reported to `onError`.
 */
export class ChannelOverflow extends Error {
  override readonly name = "ChannelOverflow";
}
