/**
 * * The same app in every framework. Middleware sets the user (from the request's `x-user`) and adds headers before
 * and, if the * framework supports that, after the route.
 *
 * * - `/socket` upgrades; `/params/:room` also does, with a prefix; `/async` does after an `await` * - `/secret`
 * answers with 401 unless the user is Ann * - `/throws` upgrades and then throws; `/forbidden` throws an error with the
 * status 403 in the framework's way
 */
import http from "node:http";
import http2 from "node:http2";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { H3, toNodeHandler as h3Handler } from "h3";
import { Hono } from "hono";
import Koa from "koa";
import { serve as serveSrvx, toNodeHandler as srvxHandler } from "srvx/node";
import { push, text, UpgradeError, upgrade, type WebSock } from "websock-js";
import type { attach } from "websock-js/node";

export type Server = Parameters<typeof attach>[0];

/** Greets with the argument of `upgrade`, and echoes. */
export const Greeter: WebSock<string, null> = {
  init: (greeting, { connection }) =>
    push(text([greeting, connection.subprotocol, connection.httpVersion].join(" ")), null),
  handleIn: (message) => push(message, null),
};

const options = { subprotocols: ["chat"] };

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The answer of every app to an unknown user. */
const refusal = { error: "who are you?" };

export interface Framework {
  readonly name: string;
  readonly versions: readonly ("HTTP/1.1" | "HTTP/2")[];
  /** Whether the upgrade waits for the framework's response, unlike with `(req, res)` handlers. */
  readonly deferred: boolean;
  create(version: "HTTP/1.1" | "HTTP/2"): Server | Promise<Server>;
}

const both = ["HTTP/1.1", "HTTP/2"] as const;

type Listener = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const createServer = (version: string, listener: Listener): Server =>
  version === "HTTP/2" ? http2.createServer(listener as never) : http.createServer(listener);

const plain: Framework = {
  name: "plain",
  versions: both,
  deferred: false,
  create: (version) =>
    createServer(version, async (req, res) => {
      const user = String(req.headers["x-user"]);
      res.setHeader("x-before", "1");
      res.setHeader("set-cookie", ["a=1", "b=2"]);
      const [, path, room] = req.url!.split("/");
      if (path === "async") await later();
      if (path === "secret" && user !== "ann") {
        res.writeHead(401, { "content-type": "application/json", "x-refused": "1" }).end(JSON.stringify(refusal));
      } else if (path === "forbidden") throw new UpgradeError(403, "not here", { "x-why": "because" });
      else upgrade(req, Greeter, `hello ${room ?? user}`, options);
    }),
};

const expressApp: Framework = {
  name: "Express 5",
  versions: ["HTTP/1.1"],
  deferred: false,
  create: () => {
    const app = express();
    app.use((_req, res, next) => {
      res.setHeader("x-before", "1");
      res.cookie("a", "1", { path: "" }).append("set-cookie", "b=2");
      next();
    });
    const router = express.Router();
    router.get("/:room", (req, res) => {
      res.locals.seen = true;
      upgrade(req, Greeter, `hello ${req.params.room}`, options);
    });
    app.use("/params", router);
    app.get("/socket", (req) => upgrade(req, Greeter, `hello ${req.get("x-user")}`, options));
    app.get("/async", async (req) => {
      await later();
      upgrade(req, Greeter, `hello ${req.get("x-user")}`, options);
    });
    app.get(
      "/secret",
      (req, res, next) => {
        if (req.get("x-user") === "ann") next();
        else res.status(401).set("x-refused", "1").json(refusal);
      },
      (req) => upgrade(req, Greeter, "hello ann", options),
    );
    app.get("/forbidden", () => {
      throw new UpgradeError(403, "not here", { "x-why": "because" });
    });
    return http.createServer(app);
  },
};

const fastifyApp: Framework = {
  name: "Fastify 5",
  versions: both,
  deferred: true,
  create: async (version) => {
    const app = (version === "HTTP/2" ? fastify({ http2: true }) : fastify()) as unknown as FastifyInstance;
    app.addHook("onRequest", async (_request, reply) => {
      reply.header("x-before", "1").header("set-cookie", ["a=1", "b=2"]);
    });
    app.addHook("onSend", async (_request, reply, payload) => {
      reply.header("x-after", "1");
      return payload;
    });
    app.addHook("onResponse", async (_request, reply) => {
      reply.header("x-late", "1");
    });
    app.get("/socket", (request) => upgrade(request, Greeter, `hello ${request.headers["x-user"]}`, options));
    app.get("/async", async (request) => {
      await later();
      return upgrade(request, Greeter, `hello ${request.headers["x-user"]}`, options);
    });
    app.get("/secret", async (request, reply) => {
      if (request.headers["x-user"] !== "ann") return reply.code(401).header("x-refused", "1").send(refusal);
      return upgrade(request, Greeter, "hello ann", options);
    });
    app.get("/throws", async (request) => {
      upgrade(request, Greeter, "never", options);
      await later();
      throw new Error("after all");
    });
    app.get("/forbidden", async () => {
      throw new UpgradeError(403, "not here", { "x-why": "because" });
    });
    await app.register(
      async (scope) => {
        scope.get<{ Params: { room: string } }>("/:room", (request) => {
          upgrade(request, Greeter, `hello ${request.params.room}`, options);
        });
      },
      { prefix: "/params" },
    );
    await app.ready();
    return app.server;
  },
};

const koaApp: Framework = {
  name: "Koa 3",
  versions: both,
  deferred: true,
  create: (version) => {
    const app = new Koa();
    app.silent = true;
    app.use(async (ctx, next) => {
      ctx.set("x-before", "1");
      ctx.set("set-cookie", ["a=1", "b=2"]);
      await next();
      ctx.set("x-after", "1");
    });
    app.use(async (ctx) => {
      const user = ctx.get("x-user");
      const [, path, room] = ctx.path.split("/");
      if (path === "async") await later();
      if (path === "forbidden") throw new UpgradeError(403, "not here", { "x-why": "because" });
      if (path === "secret" && user !== "ann") {
        ctx.status = 401;
        ctx.set("x-refused", "1");
        ctx.body = refusal;
        return;
      }
      upgrade(ctx, Greeter, `hello ${room ?? user}`, options);
      if (path === "throws") throw new Error("after all");
    });
    return createServer(version, app.callback());
  },
};

const honoApp: Framework = {
  name: "Hono 4",
  versions: both,
  deferred: true,
  create: (version) => {
    const app = new Hono();
    app.use(async (c, next) => {
      c.header("x-before", "1");
      c.header("set-cookie", "a=1");
      c.header("set-cookie", "b=2", { append: true });
      await next();
      c.header("x-after", "1");
    });
    const rooms = new Hono();
    rooms.get("/:room", (c) => upgrade(c, Greeter, `hello ${c.req.param("room")}`, options));
    app.route("/params", rooms);
    app.get("/socket", (c) => upgrade(c, Greeter, `hello ${c.req.header("x-user")}`, options));
    app.get("/async", async (c) => {
      await later();
      return upgrade(c, Greeter, `hello ${c.req.header("x-user")}`, options);
    });
    app.get("/secret", (c) => {
      if (c.req.header("x-user") !== "ann") return c.json(refusal, 401, { "x-refused": "1" });
      return upgrade(c, Greeter, "hello ann", options);
    });
    app.get("/throws", (c) => {
      upgrade(c, Greeter, "never", options);
      throw Object.assign(new Error("after all"), { getResponse: () => new Response("after all", { status: 500 }) });
    });
    app.get("/forbidden", () => {
      throw new UpgradeError(403, "not here", { "x-why": "because" });
    });
    const create = version === "HTTP/2" ? { createServer: http2.createServer } : {};
    return createAdaptorServer({ fetch: app.fetch, ...create }) as Server;
  },
};

const h3App: Framework = {
  name: "h3 2",
  versions: both,
  deferred: true,
  create: (version) => {
    const app = new H3({ silent: true });
    app.use(async (event, next) => {
      event.res.headers.set("x-before", "1");
      event.res.headers.append("set-cookie", "a=1");
      event.res.headers.append("set-cookie", "b=2");
      const response = await next();
      event.res.headers.set("x-after", "1");
      return response;
    });
    app.get("/socket", (event) => upgrade(event, Greeter, `hello ${event.req.headers.get("x-user")}`, options));
    app.get("/params/:room", (event) => upgrade(event, Greeter, `hello ${event.context.params?.room}`, options));
    app.get("/async", async (event) => {
      await later();
      return upgrade(event, Greeter, `hello ${event.req.headers.get("x-user")}`, options);
    });
    app.get("/secret", (event) => {
      if (event.req.headers.get("x-user") === "ann") return upgrade(event, Greeter, "hello ann", options);
      return Response.json(refusal, { status: 401, headers: { "x-refused": "1" } });
    });
    app.get("/throws", (event) => {
      upgrade(event, Greeter, "never", options);
      throw new Error("after all");
    });
    app.get("/forbidden", () => {
      throw new UpgradeError(403, "not here", { "x-why": "because" });
    });
    return createServer(version, h3Handler(app) as Listener);
  },
};

const srvxFetch = async (request: Request): Promise<Response> => {
  const user = request.headers.get("x-user");
  const [, path, room] = new URL(request.url).pathname.split("/");
  if (path === "async") await later();
  if (path === "forbidden") throw new UpgradeError(403, "not here", { "x-why": "because" });
  if (path === "secret" && user !== "ann") {
    return Response.json(refusal, { status: 401, headers: { "x-refused": "1" } });
  }
  const response = upgrade(request, Greeter, `hello ${room ?? user}`, options);
  if (path === "throws") throw new Error("after all");
  for (const [name, value] of [
    ["x-before", "1"],
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
    ["x-after", "1"],
  ] as const) {
    response.headers.append(name, value);
  }
  return response;
};

const srvxServer: Framework = {
  name: "srvx, its own server",
  versions: ["HTTP/1.1"],
  deferred: true,
  create: () => {
    const server = serveSrvx({ fetch: srvxFetch, manual: true, silent: true, gracefulShutdown: false });
    return server.node!.server as Server;
  },
};

const srvxNode: Framework = {
  name: "srvx, as a handler for Node",
  versions: both,
  deferred: true,
  create: (version) => createServer(version, srvxHandler(srvxFetch) as Listener),
};

export const FRAMEWORKS: readonly Framework[] = [
  plain,
  expressApp,
  fastifyApp,
  koaApp,
  honoApp,
  h3App,
  srvxServer,
  srvxNode,
];
