/**
 * Tells connections that their server is being stopped. When a server of `Deno.serve` is stopped, by `shutdown()` or by
 * the abort signal it was given, Deno closes its WebSockets, but what a socket is told of that is exactly what it is told
 * when a client sends an empty close frame: code 1005. So `Deno.serve` is wrapped, to learn of the stop beforehand.
 */
import type { DenoServe, DenoServer } from "./types.ts";

/** A connection of a server that is being stopped. */
export interface Stoppable {
  /** The server is about to be stopped. */
  onStop(): void;
}

/** The connections of one server. */
export class ServerConnections {
  private readonly connections = new Set<Stoppable>();

  add(connection: Stoppable): void {
    this.connections.add(connection);
  }

  delete(connection: Stoppable): void {
    this.connections.delete(connection);
  }

  readonly stop = (): void => {
    for (const connection of this.connections) connection.onStop();
  };
}

const servers = new WeakMap<Request, ServerConnections>();

/** The connections of the server that this request came to; `undefined` if that was not started by `Deno.serve`. */
export const connectionsOf = (request: Request): ServerConnections | undefined => servers.get(request);

type Handler = (request: Request, ...more: unknown[]) => unknown;

interface ServeOptions {
  readonly handler?: Handler;
  readonly signal?: AbortSignal;
}

/** `Deno.serve`, with every request known to belong to its server. */
export const watchServe =
  (serve: DenoServe): DenoServe =>
  // It takes options, a handler, or both, and the handler may be among the options.
  (...args) => {
    const connections = new ServerConnections();
    const watch =
      (handle: Handler): Handler =>
      (request, ...more) => {
        servers.set(request, connections);
        return handle(request, ...more);
      };
    const watched = args.map((arg: unknown) => {
      if (typeof arg === "function") return watch(arg as Handler);
      const { handler } = (arg ?? {}) as ServeOptions;
      return typeof handler === "function" ? { ...(arg as object), handler: watch(handler) } : arg;
    });
    const { signal } = (args.find((arg) => typeof arg === "object" && arg !== null) ?? {}) as ServeOptions;
    // Before Deno's own listener, so that our close frame goes out first.
    signal?.addEventListener("abort", connections.stop);
    const server = serve(...watched);
    watchShutdown(server, connections.stop);
    return server;
  };

/** `Symbol.asyncDispose` of the server calls `shutdown`, too. */
const watchShutdown = (server: DenoServer, stop: () => void): void => {
  const { shutdown } = server;
  server.shutdown = () => {
    stop();
    return shutdown.call(server);
  };
};
