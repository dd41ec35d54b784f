/** The end of a server is the end of its WebSockets. Node leaves them alone, and then waits for them. */
import type { Duplex } from "node:stream";
import { CLOSE } from "../protocol/close.ts";
import type { SessionGroup } from "../session/group.ts";
import type { Session } from "../session/session.ts";

/** What of a server we put ourselves before. */
interface Closable {
  close(...args: never[]): unknown;
  closeAllConnections?(): void;
  on(event: string, listener: () => void): unknown;
}

/** The connections that end with it. */
export type Ending = Pick<SessionGroup, "close" | "dismiss"> & { closing: boolean };

/**
 * Closes the connections with 1001 when the server is closed, unless `drain` or `close` of the attachment is at work already.
 * A server that listens once more takes upgrades once more.
 */
export const closeWith = (server: Closable, group: Ending): void => {
  const { close, closeAllConnections } = server;
  let closed = false;
  server.close = function (this: Closable, ...args): unknown {
    closed = true;
    if (!group.closing) void group.close();
    return Reflect.apply(close, this, args);
  };
  if (closeAllConnections !== undefined) {
    server.closeAllConnections = function (this: Closable): void {
      // Not cut off at once: whoever does not answer is, after its `closeTimeout`.
      group.dismiss();
      closeAllConnections.call(this);
    };
  }
  server.on("listening", () => {
    if (closed) group.closing = false;
    closed = false;
  });
};

/** Ends a connection as the server's end does. */
export const shutDown = (session: Session | undefined): void => session?.shutdown(CLOSE.goingAway);

/**
 * The `destroy` of a socket that carries a WebSocket. Tools for a graceful end of the server (http-terminator, stoppable, …)
 * destroy the sockets that answer no request: `beforehand` may still write a close frame. To be shared by all sockets: a
 * closure for each of them would cost more than the rest of it.
 */
export const destroyAfter = <Socket extends Duplex>(beforehand: (socket: Socket) => void) =>
  function destroy(this: Socket, error?: Error): Socket {
    // An error, or the peer's end, is the loss of the connection.
    if (error === undefined && !this.destroyed && !this.readableEnded && !this.writableEnded) beforehand(this);
    return Object.getPrototypeOf(this).destroy.call(this, error);
  };
