/** Node's diagnostics channels for HTTP requests, on which Node does not publish upgrades. */
import { type Channel, channel } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/**
 * Node publishes on these channels when it emits `request`, but not when it emits `upgrade`. (The constructor of the
 * response publishes `http.server.response.created`.) Sentry wraps a server's `emit` on the first request that it sees:
 * without the channel, earlier upgrades have no transaction, and their routes write into Sentry's global scope.
 */
const requestStart = channel("http.server.request.start");
const responseFinish = channel("http.server.response.finish");

type Publish = (request: IncomingMessage, response: ServerResponse, socket: Duplex, server: object) => void;

const publishOn =
  (to: Channel): Publish =>
  (request, response, socket, server) => {
    if (to.hasSubscribers) to.publish({ request, response, socket, server });
  };

/** Called before the request is passed to the app. */
export const publishRequestStart = publishOn(requestStart);

/** Called when the response has ended. */
export const publishResponseFinish = publishOn(responseFinish);
