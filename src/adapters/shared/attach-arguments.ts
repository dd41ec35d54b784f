/** Checks of the arguments of `attach`: apps and servers passed by mistake are recognized by their shape. */
import { codedTypeError } from "../../error-codes.ts";
import { show } from "../../known-keys.ts";

// biome-ignore lint/suspicious/noExplicitAny: any value that an application may pass
type Given = any;

const has = (value: Given, ...names: readonly string[]): boolean =>
  (typeof value === "object" || typeof value === "function") &&
  value !== null &&
  names.every((name) => typeof value[name] === "function");

const isFastify = (value: Given): boolean => has(value, "inject", "route") && typeof value.server === "object";
const isNest = (value: Given): boolean => has(value, "getHttpServer");
/** Hono, h3, Elysia, and other apps exported as `{ fetch }`. */
const isFetchApp = (value: Given): boolean => has(value, "fetch") && !has(value, "upgrade");
const isNodeServer = (value: Given): boolean => has(value, "on", "emit", "listen", "close");
const isWebSocketServer = (value: Given): boolean => has(value, "handleUpgrade", "shouldHandle");
/** Express and connect apps are functions; Koa apps are not. */
const isListener = (value: Given): boolean => typeof value === "function";

/** A description of the value, and how to get a Node server from it. */
const appOf = (value: Given): readonly [what: string, cure: string] => {
  if (isWebSocketServer(value)) return ["a WebSocketServer", 'use attach() from "websock-js/ws"'];
  if (isFastify(value)) return ["a Fastify instance", "pass its server, as in attach(app.server)"];
  if (isNest(value)) return ["a Nest application", "pass its server, as in attach(app.getHttpServer())"];
  if (has(value, "callback", "use")) return ["a Koa app", "pass the server, as in attach(app.listen(port))"];
  if (isListener(value)) {
    return [
      has(value, "use", "listen") ? "an Express app" : show(value),
      "pass the server, as in const server = http.createServer(app); attach(server)",
    ];
  }
  if (has(value, "upgrade", "publish")) return ["a Bun server", 'use attach() from "websock-js/bun"'];
  if (isFetchApp(value)) {
    const name = show(value).replace("an object", "an object with fetch");
    return [name, 'pass the server, as in attach(serve({ fetch: app.fetch })) with "@hono/node-server"'];
  }
  return [show(value), "pass the result of http.createServer(app)"];
};

/** @throws TypeError unless `value` is a Node server */
export const checkNodeServer = (value: unknown): void => {
  if (isNodeServer(value) && !isListener(value) && !isNest(value)) return;
  const [what, cure] = appOf(value);
  throw codedTypeError(
    "WEBSOCK_WRONG_SERVER",
    `attach() from "websock-js/node" expects a server of node:http, https or http2, not ${what}; ${cure}`,
  );
};

/** @throws TypeError unless `value` is a WebSocketServer of the package `ws` */
export const checkWebSocketServer = (value: unknown): void => {
  if (isWebSocketServer(value)) return;
  const cure = isNodeServer(value)
    ? 'for a server of node:http, use attach() from "websock-js/node"'
    : "pass new WebSocketServer({ server })";
  throw codedTypeError(
    "WEBSOCK_WRONG_SERVER",
    `attach() from "websock-js/ws" expects a WebSocketServer, not ${show(value)}; ${cure}`,
  );
};

/** @throws TypeError unless `value` looks like options of `Bun.serve` */
export const checkBunOptions = (value: unknown): void => {
  const { fetch, routes } = (value ?? {}) as { readonly fetch?: unknown; readonly routes?: unknown };
  const isApp = typeof value === "function" || Array.isArray(routes) || has(value, "upgrade", "publish");
  if (!isApp && typeof value === "object" && value !== null && (fetch !== undefined || routes !== undefined)) return;
  const cure = isFetchApp(value) ? "use attach({ port, fetch: app.fetch })" : "use Bun.serve(attach({ port, fetch }))";
  throw codedTypeError(
    "WEBSOCK_WRONG_SERVER",
    `attach() from "websock-js/bun" expects the options of Bun.serve, not ${show(value)}; ${cure}`,
  );
};

/** @throws TypeError unless `value` is a handler of `Deno.serve` */
export const checkDenoHandler = (value: unknown): void => {
  if (typeof value === "function") return;
  const cure = isFetchApp(value) ? "use attach(app.fetch)" : "use Deno.serve(attach((request) => …))";
  throw codedTypeError(
    "WEBSOCK_WRONG_SERVER",
    `attach() from "websock-js/deno" expects a handler of Deno.serve, not ${show(value)}; ${cure}`,
  );
};

/** @throws TypeError unless the arguments are a Durable Object, its context, and a handler or named handlers */
export const checkDurableObject = (object: unknown, ctx: unknown, handlers: unknown): void => {
  const isObject = typeof object === "object" && object !== null;
  if (!isObject || !has(ctx, "acceptWebSocket", "getWebSockets")) {
    throw codedTypeError(
      "WEBSOCK_WRONG_SERVER",
      `attach() from "websock-js/cloudflare" expects a Durable Object, its context and a handler, as in ` +
        `attach(this, this.ctx, Chat), not ${show(object)} and ${show(ctx)}. In a Worker, call upgrade() without attach()`,
    );
  }
  if (typeof handlers !== "object" || handlers === null) {
    throw codedTypeError(
      "WEBSOCK_INVALID_HANDLER",
      `the third argument of attach() must be a handler or an object of named handlers, not ${show(handlers)}`,
    );
  }
};
