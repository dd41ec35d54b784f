/** Sockets that are no WebSockets, or not any more. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock, Timed } from "../session/clock.ts";

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

/**
 * Gives an upgrade request that is not for us back to the server as the ordinary request that it also is (RFC 9110 §7.8:
 * a server may ignore `Upgrade`). Node has taken it off its parser; so its octets go in again, and this time `Connection`
 * does not say `upgrade`.
 */
export const replay = (server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  socket.unshift(Buffer.concat([Buffer.from(requestHead(request), "latin1"), head]));
  server.emit("encrypted" in socket ? "secureConnection" : "connection", socket);
};

const requestHead = ({ method, url, httpVersion, rawHeaders }: IncomingMessage): string => {
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    let value = rawHeaders[i + 1]!;
    if (name.toLowerCase() === "connection") value = value.replace(/(^|,)\s*upgrade\s*(?=,|$)/gi, "$1");
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
};
