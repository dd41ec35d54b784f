/** Closes WebSockets when their server is closed: Node leaves them open, and `close` of the server waits for them. */
import type { Duplex } from "node:stream";
import type { SessionGroup } from "../../session/group.ts";
import { nextTick } from "./timers.ts";

/** The methods of a server that are wrapped. */
interface Closable {
  close(...args: never[]): unknown;
  closeAllConnections?(): void;
  on(event: string, listener: () => void): unknown;
}

/** The connections of a server. */
export type ClosableGroup = Pick<SessionGroup, "close" | "closeAll"> & { closing: boolean };

/**
 * Closes the connections with 1001 when the server is closed, unless the application has called `drain` or `close` of
 * the attachment before, or calls it synchronously afterwards. A server that listens again accepts upgrades again.
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
      // Connections get their `closeTimeout` for the closing handshake before they are aborted.
      group.closeAll();
      closeAllConnections.call(this);
    };
  }
  server.on("listening", () => {
    if (closed) group.closing = false;
    closed = false;
  });
};

type Method = "destroy" | "end";

/**
 * Returns a function that wraps `destroy` and `end` of a socket, so that `beforeEnd` can still write a close frame.
 * Tools for graceful shutdown (http-terminator, stoppable, …) call these methods on sockets that have no pending
 * response. All sockets share the wrapped methods, because closures for each socket would take too much memory.
 */
export const wrapEndMethods = <Stream extends Duplex>(
  beforeEnd: (socket: Stream) => void,
): ((socket: Stream) => void) => {
  const wrap = (name: Method) =>
    function (this: Stream, ...args: unknown[]): unknown {
      // With an error, or after the peer has ended the connection, a close frame can't be delivered.
      const isLost = args[0] instanceof Error || this.destroyed || this.readableEnded || this.writableEnded;
      if (!isLost) beforeEnd(this);
      return Reflect.apply(Object.getPrototypeOf(this)[name], this, args);
    };
  const [destroy, end] = [wrap("destroy"), wrap("end")];
  return (socket) => {
    if (!Object.hasOwn(socket, "destroy")) socket.destroy = destroy as never;
    if (!Object.hasOwn(socket, "end")) socket.end = end as never;
  };
};
