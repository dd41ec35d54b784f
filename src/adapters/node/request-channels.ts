/** Node's own diagnostics channels for requests, on which it does not publish upgrades. */
import { channel } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** As Node publishes it. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Duplex;
  readonly server: object;
}

/**
 * Node publishes these two for every request that it passes to the `request` listeners, but not for upgrades, which it gives
 * to others. (It publishes `http.server.response.created` itself, from the response's constructor.) Sentry wraps a server's
 * `emit` when it hears of the server's first request: without the channel, upgrades before that have no transaction, and
 * their routes write into Sentry's global scope.
 */
const requestStart = channel("http.server.request.start");
const responseFinish = channel("http.server.response.finish");

/** Before the request goes to the app. */
export const publishRequestStart = (exchange: Exchange): void => {
  if (requestStart.hasSubscribers) requestStart.publish(exchange);
};

/** When the response has ended. */
export const publishResponseFinish = (exchange: Exchange): void => {
  if (responseFinish.hasSubscribers) responseFinish.publish(exchange);
};
