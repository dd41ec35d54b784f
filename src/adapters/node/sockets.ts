/** Sockets that are no WebSockets, or not any more. */
import http, { type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timed } from "../../session/clock.ts";

/**
 * Ends our direction and drops what still comes, for so long: a socket that is closed with octets unread is reset, and
 * the other side may never see our answer (RFC 9112 §9.6).
 */
export const lingerAndClose = (socket: Duplex, clock: Clock, timeout: number): void => {
  const cut: Timed = { slot: 0, tick: () => socket.destroy() };
  clock.schedule(cut, clock.now() + timeout);
  socket.once("close", () => clock.cancel(cut));
  socket.end();
  socket.resume();
};

/** The server's timeouts end with its hold on the socket. */
export const stopTimeout = (socket: Duplex): void => {
  (socket as Partial<{ setTimeout(ms: number): void }>).setTimeout?.(0);
};

type RespondingSocket = Duplex & { _httpMessage?: ServerResponse | null };

/**
 * Calls `run` once the answers to what the client pipelined before are out (RFC 9112 §9.3.2). Never, if the connection
 * ends with one of them.
 */
export const afterEarlierResponses = (socket: RespondingSocket, run: () => void): void => {
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
  // Node has taken its own listeners off with the upgrade, although it is still answering.
  socket.on("error", ignore).on("drain", forwardDrain);
  next();
};

/** A listener for a socket's `drain`: the response that is being sent waits for it. */
export function forwardDrain(this: RespondingSocket): void {
  const response = this._httpMessage;
  if (response && !response.writableEnded) response.emit("drain");
}

function ignore(): void {}

/** Node keeps so many headers where the server does not say otherwise. */
const DEFAULT_MAX_HEADERS = 1000;

/** Whether Node may have dropped headers: one of them may have announced a body, which must not be taken for frames. */
export const mayLackHeaders = ({ maxHeadersCount }: Server, { rawHeaders }: IncomingMessage): boolean =>
  maxHeadersCount !== 0 && rawHeaders.length >= 2 * (maxHeadersCount ?? DEFAULT_MAX_HEADERS);

/**
 * Gives an upgrade request that is not for us back to the server as the ordinary request that it also is (RFC 9110 §7.8:
 * a server may ignore `Upgrade`). Node has taken it off its parser; so its octets go in again, and this time nothing that
 * the parser takes for `Connection` says `upgrade`: else the request would come back to us for ever.
 */
export const replay = (server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  // A keep-alive timeout that the request before has left must not end this one.
  stopTimeout(socket);
  socket.unshift(Buffer.concat([Buffer.from(requestHead(request), "latin1"), head]));
  if (connectionListener === undefined) server.emit("encrypted" in socket ? "secureConnection" : "connection", socket);
  else connectionListener.call(server, socket);
};

/**
 * What Node itself does about a new connection. Not by emitting the event once more: the application's own listeners for it
 * count connections, and add listeners to them.
 */
const { _connectionListener: connectionListener } = http as {
  readonly _connectionListener?: (this: Server, socket: Duplex) => void;
};

/** Node's parser obeys the second as well, although it is no header of HTTP. */
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
