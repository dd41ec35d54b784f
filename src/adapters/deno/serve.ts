/**
 * Detects that a server of `Deno.serve` is being stopped. Deno then closes its WebSockets with close code 1005, which
 * looks the same as an empty close frame from the client (Deno 2.9). `Deno.serve` is wrapped to detect `shutdown()` and
 * the abort signal beforehand.
 */
import type { DenoServe, DenoServer } from "./types.ts";

/** A connection of a server that can be stopped. */
export interface Stoppable {
  /** Called before the server stops. */
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

/** The connections of the server that received this request; `undefined` if `Deno.serve` did not start it. */
export const connectionsOf = (request: Request): ServerConnections | undefined => servers.get(request);

type Handler = (request: Request, ...more: unknown[]) => unknown;

interface ServeOptions {
  readonly handler?: Handler;
  readonly signal?: AbortSignal;
}

/** Wraps `Deno.serve`, to associate each request with its server. */
export const watchServe =
  (serve: DenoServe): DenoServe =>
  // The arguments are options, a handler, or both. The handler may also be in the options.
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
    // Registered before Deno's own listener, so that our close frame is sent first.
    signal?.addEventListener("abort", connections.stop);
    const server = serve(...watched);
    watchShutdown(server, connections.stop);
    return server;
  };

/** Also covers `Symbol.asyncDispose` of the server, which calls `shutdown`. */
const watchShutdown = (server: DenoServer, stop: () => void): void => {
  const { shutdown } = server;
  server.shutdown = () => {
    stop();
    return shutdown.call(server);
  };
};
