/** `websock-js/node`: hosts handlers on the servers of `node:http`, `node:https` and `node:http2`. */
import type { Server as HttpServer, IncomingMessage } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest } from "node:http2";
import type { Server as HttpsServer } from "node:https";
import { resolveOptions, type WebSockOptions } from "../options.ts";
import type { Clock } from "../session/clock.ts";
import { type DrainOptions, SessionGroup } from "../session/group.ts";
import type { OnError } from "../session/report.ts";
import { systemClock } from "../session/system-clock.ts";
import { NodeAdapter } from "./node-adapter.ts";
import { reporter } from "./node-diagnostics.ts";
import { watchFastify } from "./node-fastify.ts";
import { takeUpgrades } from "./node-http1.ts";
import { takeConnects } from "./node-http2.ts";
import { guardRequests } from "./node-requests.ts";

export type { DrainOptions } from "../session/group.ts";
export { capabilities } from "./node-adapter.ts";

/** Options of {@link attach}. */
export interface AttachOptions {
  /**
   * Which upgrade requests are ours. The others are left to the server's other `upgrade` listeners (Vite's, socket.io's),
   * or `connect` listeners on HTTP/2. Default: all.
   */
  readonly only?: (request: IncomingMessage | Http2ServerRequest) => boolean;
  /** Options for every `upgrade` on this server, where the call says nothing else. */
  readonly defaults?: WebSockOptions;
  /** Is told of the errors in callbacks. Default: prints them with `console.error`. */
  readonly onError?: OnError;
  /** Time, for tests: a `ManualClock` from `websock-js/testing`. Default: the system's. */
  readonly clock?: Clock;
}

/** A server with WebSockets. */
export interface Attachment {
  /** How many connections are open. */
  readonly connections: number;
  /**
   * Closes every connection with 1001 and refuses upgrades with 503 from now on. Resolves when all connections are gone;
   * one that does not answer is cut off after its `closeTimeout`. The server itself is yours to close; of HTTP/2, the
   * connections that WebSockets were all of are closed too.
   */
  close(): Promise<void>;
  /**
   * The same with 1012, batch by batch, so that the clients do not come back all at once.
   *
   * @throws TypeError for an option that is no number above zero
   */
  drain(options?: DrainOptions): Promise<void>;
}

const attached = new WeakSet<object>();

/**
 * Lets upgrade requests travel through the server's `request` listeners like any other request, where a route may
 * {@link upgrade} them. Call it once, before or after the listeners are added.
 *
 * ```ts
 * const server = http.createServer(app);
 * const sockets = attach(server);
 * process.once("SIGTERM", () => sockets.drain().then(() => server.close()));
 * ```
 *
 * @throws TypeError for an option that does not exist
 * @throws Error if the server is attached already
 */
export const attach = (
  server: HttpServer | HttpsServer | Http2Server | Http2SecureServer,
  options: AttachOptions = {},
): Attachment => {
  const { only, defaults, onError, clock = systemClock, ...unknown } = options;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new TypeError(`unknown option "${name}"; there are only, defaults, onError, clock`);
  if (attached.has(server)) throw new Error("this server is attached already");
  const resolved = resolveOptions(defaults);
  attached.add(server);
  const group = new SessionGroup(clock);
  const adapter = new NodeAdapter(server, group, {
    only,
    defaults: resolved,
    clock,
    onError: reporter(onError),
  });
  guardRequests(server, adapter, "updateSettings" in server ? takeConnects(adapter) : undefined);
  takeUpgrades(adapter);
  watchFastify();
  return {
    get connections() {
      return group.size;
    },
    close: () => group.close(),
    drain: (drainOptions) => group.drain(drainOptions),
  };
};
