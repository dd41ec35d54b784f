/** The end of a server is the end of its WebSockets. Node leaves them alone, and then waits for them. */
import type { Duplex } from "node:stream";
import { CLOSE } from "../../protocol/close.ts";
import type { SessionGroup } from "../../session/group.ts";
import type { Session } from "../../session/session.ts";
import { nextTick } from "./timers.ts";

/** What of a server we put ourselves before. */
interface Closable {
  close(...args: never[]): unknown;
  closeAllConnections?(): void;
  on(event: string, listener: () => void): unknown;
}

/** The connections that end with it. */
export type ClosableGroup = Pick<SessionGroup, "close" | "dismiss"> & { closing: boolean };

/**
 * Closes the connections with 1001 when the server is closed, unless the application calls `drain` or `close` of the
 * attachment: before, or right after it.
 * A server that listens once more takes upgrades once more.
 */
export const closeSessionsWith = (server: Closable, group: ClosableGroup): void => {
  const { close, closeAllConnections } = server;
  let closed = false;
  server.close = function (this: Closable, ...args): unknown {
    closed = true;
    nextTick(() => {
      if (closed && !group.closing) void group.close();
    });
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

type Method = "destroy" | "end";

/**
 * The `destroy` and the `end` of a socket that carries a WebSocket. Tools for a graceful end of the server (http-terminator,
 * stoppable, …) call them on sockets that answer no request: `beforehand` may still write a close frame. To be shared by all
 * sockets: closures for each of them would cost more than the rest of it.
 */
export const wrapEndMethods = <Stream extends Duplex>(
  beforehand: (socket: Stream) => void,
): ((socket: Stream) => void) => {
  const wrap = (name: Method) =>
    function (this: Stream, ...args: unknown[]): unknown {
      // An error, or the peer's end, is the loss of the connection.
      const isLost = args[0] instanceof Error || this.destroyed || this.readableEnded || this.writableEnded;
      if (!isLost) beforehand(this);
      return Reflect.apply(Object.getPrototypeOf(this)[name], this, args);
    };
  const [destroy, end] = [wrap("destroy"), wrap("end")];
  return (socket) => {
    if (!Object.hasOwn(socket, "destroy")) socket.destroy = destroy as never;
    if (!Object.hasOwn(socket, "end")) socket.end = end as never;
  };
};
