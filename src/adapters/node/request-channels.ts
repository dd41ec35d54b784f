/** Node's diagnostics channels for HTTP requests, on which Node does not publish upgrades. */
import { channel } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** The message that Node publishes. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly server: object;
}

/**
 * Node publishes on these channels when it emits `request`, but not when it emits `upgrade`. (The constructor of the
 * response publishes `http.server.response.created`.) Sentry wraps a server's `emit` on the first request that it sees:
 * without the channel, earlier upgrades have no transaction, and their routes write into Sentry's global scope.
 */
const requestStart = channel("http.server.request.start");
const responseFinish = channel("http.server.response.finish");

/** Called before the request is passed to the app. */
export const publishRequestStart = (exchange: Exchange): void => {
  if (requestStart.hasSubscribers) requestStart.publish(exchange);
};

/** Called when the response has ended. */
export const publishResponseFinish = (exchange: Exchange): void => {
  if (responseFinish.hasSubscribers) responseFinish.publish(exchange);
};
