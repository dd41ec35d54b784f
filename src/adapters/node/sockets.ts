/** Sockets before the upgrade, and after a refusal. */
import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timed } from "../../session/clock.ts";

/**
 * Ends our direction and discards incoming data, for `timeout` ms at most. If a socket is closed with unread data, TCP
 * resets the connection, and the client may not receive the answer (RFC 9112 §9.6).
 */
export const lingerAndClose = (socket: Duplex, clock: Clock, timeout: number): void => {
  const cut: Timed = { slot: 0, tick: () => socket.destroy() };
  clock.schedule(cut, clock.now() + timeout);
  socket.once("close", () => clock.cancel(cut));
  socket.end();
  socket.resume();
};

/** Removes the timeout that the server has set. */
export const stopTimeout = (socket: Duplex): void => {
  (socket as Partial<{ setTimeout(ms: number): void }>).setTimeout?.(0);
};

type RespondingSocket = Duplex & { _httpMessage?: ServerResponse | null };

/**
 * Calls `run` after the responses to requests that the client pipelined before (RFC 9112 §9.3.2). It is never called if
 * one of them closes the connection.
 */
export const afterEarlierResponses = (socket: RespondingSocket, run: () => void): void => {
  if (!socket._httpMessage) {
    if (socket.writable) run();
    return;
  }
  const next = (): void => {
    const earlier = socket._httpMessage;
    if (earlier) {
      earlier.once("finish", next);
      return;
    }
    if (!socket.writable) return;
    socket.off("error", ignore).off("drain", forwardDrain);
    run();
  };
  // Node has removed its own listeners for the upgrade, although earlier responses are still being sent.
  socket.on("error", ignore).on("drain", forwardDrain);
  next();
};

/** A `drain` listener that forwards the event to the response that is being sent. */
export function forwardDrain(this: RespondingSocket): void {
  const response = this._httpMessage;
  if (response && !response.writableEnded) response.emit("drain");
}

function ignore(): void {}

/** Node's default for `maxHeadersCount`. */
const DEFAULT_MAX_HEADERS = 1000;

/** Whether Node may have dropped headers. One of them may have announced a body, which must not be parsed as frames. */
export const mayLackHeaders = ({ maxHeadersCount }: Server, { rawHeaders }: IncomingMessage): boolean =>
  maxHeadersCount !== 0 && rawHeaders.length >= 2 * (maxHeadersCount ?? DEFAULT_MAX_HEADERS);

/**
 * Passes an upgrade request back to the server as an ordinary request (RFC 9110 §7.8: a server may ignore `Upgrade`).
 * Node has detached its parser from the socket, so the request is serialized and parsed again, without `upgrade` in its
 * `Connection` header: otherwise it would be emitted as an upgrade again.
 */
export const replay = (server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  // A keep-alive timeout of the previous request must not end this one.
  stopTimeout(socket);
  socket.unshift(Buffer.concat([Buffer.from(requestHead(request), "latin1"), head]));
  if (connectionListener === undefined) server.emit("encrypted" in socket ? "secureConnection" : "connection", socket);
  else connectionListener.call(server, socket);
};

/**
 * Node's own handler of a new connection. Emitting the event again would also call the application's listeners, which
 * may count connections or add listeners.
 */
const { _connectionListener: connectionListener } = http as {
  readonly _connectionListener?: (this: Server, socket: Duplex) => void;
};

/** Node's parser treats `Proxy-Connection` like `Connection`, although it is not a standard header. */
const CONNECTION_HEADER = /^(?:proxy-)?connection$/i;

const requestHead = ({ method, url, httpVersion, rawHeaders }: IncomingMessage): string => {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    let value = rawHeaders[i + 1]!;
    if (CONNECTION_HEADER.test(name)) value = value.replace(/(^|,)\s*upgrade\s*(?=,|$)/gi, "$1");
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
};
