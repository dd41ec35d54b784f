/** Tests that middleware with hooks on the response runs once at an upgrade, and is released afterwards. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import express from "express";
import session from "express-session";
import fastify, { type FastifyInstance } from "fastify";
import Koa from "koa";
import morgan from "morgan";
import { expect, onTestFinished, test, vi } from "vitest";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { Echo } from "../support/node-server.ts";
import { deferred } from "../support/promises.ts";
import { closeFrame, frame, TEXT } from "../support/raw-frames.ts";
import { failOnUncaught } from "../support/uncaught.ts";
import { type Knocked, knockHttp1, knockHttp2 } from "../support/upgrade-client.ts";
import type { Server } from "./apps.ts";

failOnUncaught();

declare module "express-session" {
  interface SessionData {
    visits: number;
  }
}

type Attach = (server: Server) => unknown;

/** Variations that must not affect the result. */
const ENGINES: readonly (readonly [name: string, attach: Attach])[] = [
  ["our own engine", attach],
  ["ws", (server) => attachWs(new WebSocketServer({ server: server as http.Server }))],
];

const listen = async (server: Server, engine: Attach = attach): Promise<number> => {
  engine(server);
  const connections = new Set<{ destroy(): unknown }>();
  server.on("connection", (socket) => connections.add(socket));
  onTestFinished(async () => {
    for (const connection of connections) connection.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
};

const echoes = async ({ status, client }: Knocked): Promise<void> => {
  expect(status).toBe("open");
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
};

const turns = async (count = 3): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** An asynchronous store, like one in a database. */
class SlowStore extends session.MemoryStore {
  saves = 0;
  override set(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    setImmediate(() => {
      this.saves++;
      super.set(id, data, callback);
    });
  }
}

test.each(ENGINES)(
  "%s: express-session reads its session, saves it, and sets its cookie in the 101",
  async (_, engine) => {
    const store = new SlowStore();
    const app = express();
    app.use(session({ secret: "s", resave: false, saveUninitialized: false, store }));
    app.get("/", (req) => {
      req.session.visits = (req.session.visits ?? 0) + 1;
      upgrade(req, Echo);
    });
    app.get("/visits", (req, res) => void res.json(req.session.visits));
    const port = await listen(http.createServer(app), engine);

    const first = await knockHttp1(port, "/");
    await echoes(first);
    const cookie = /^connect\.sid=[^;]+/.exec(first.headers["set-cookie"]!)![0];
    const second = await knockHttp1(port, "/", { cookie });
    await echoes(second);
    // The session is known, so no new cookie is set.
    expect(second.headers).not.toHaveProperty("set-cookie");
    while (store.saves < 2) await turns(1);
    const plain = await fetch(`http://127.0.0.1:${port}/visits`, { headers: { cookie } });
    expect(await plain.json()).toBe(2);
  },
);

test.each(ENGINES)("%s: morgan logs a 101, once, at the upgrade", async (_, engine) => {
  const lines: string[] = [];
  const written = deferred();
  const stream = {
    write: (line: string) => {
      lines.push(line);
      written.resolve();
    },
  };
  const app = express();
  app.use(morgan(":method :url :status :response-time", { stream }));
  app.get("/socket", (req) => upgrade(req, Echo));
  const knocked = await knockHttp1(await listen(http.createServer(app), engine), "/socket");
  await written.promise;
  await echoes(knocked);
  await knocked.client.send(closeFrame(1000)).closeCode();
  await knocked.client.end().ended;
  await turns();
  expect(lines).toEqual([expect.stringMatching(/^GET \/socket 101 \d+\.\d+\n$/)]);
});

test.each([
  ["HTTP/1.1", knockHttp1, 101],
  ["HTTP/2", knockHttp2, 200],
] as const)(
  "Fastify over %s: hooks run once, in order, with the answer's status, and late writes do no harm",
  async (version, knock, status) => {
    const seen: string[] = [];
    const logged: string[] = [];
    const stream = { write: (line: string) => void logged.push(line) };
    const options = { logger: { level: "warn", stream } };
    const app = (version === "HTTP/2" ? fastify({ ...options, http2: true }) : fastify(options)) as FastifyInstance;
    app.addHook("onSend", async (_request, reply, payload) => {
      seen.push("onSend");
      reply.header("x-on-send", "1");
      return payload;
    });
    const responded = deferred();
    app.addHook("onResponse", async (_request, reply) => {
      seen.push(`onResponse ${reply.statusCode}`);
      responded.resolve();
    });
    app.get("/", (request, reply) => {
      upgrade(request, Echo);
      setImmediate(() => reply.raw.end("late"));
    });
    await app.ready();
    const knocked = await knock(await listen(app.server as Server), "/");
    expect(knocked.headers["x-on-send"]).toBe("1");
    await responded.promise;
    await turns();
    await echoes(knocked);
    expect(seen).toEqual(["onSend", `onResponse ${status}`]);
    expect(logged).toEqual([]);
  },
);

test("Fastify: a handler with a callback can upgrade, and a reply can be passed to upgrade", async () => {
  const app = fastify();
  app.addHook("onRequest", async (_request, reply) => void reply.header("x-hook", "1"));
  app.get("/callback", (request) => {
    setImmediate(() => upgrade(request, Echo));
  });
  app.get("/reply", (_request, reply) => upgrade(reply, Echo));
  app.get("/raw", (request, reply) => {
    reply.hijack();
    upgrade(request.raw, Echo);
  });
  app.get("/hijacked", (request, reply) => {
    reply.hijack();
    upgrade(request, Echo);
  });
  await app.ready();
  const port = await listen(app.server);
  for (const path of ["/callback", "/reply"]) {
    const knocked = await knockHttp1(port, path);
    await echoes(knocked);
    expect(knocked.headers["x-hook"]).toBe("1");
  }
  for (const path of ["/raw", "/hijacked"]) await echoes(await knockHttp1(port, path));
});

test.each([
  ["HTTP/1.1", knockHttp1, http.createServer],
  ["HTTP/2", knockHttp2, http2.createServer],
] as const)(
  "Koa over %s: whatever body and status it has in the end, none of it is in the answer",
  async (_version, knock, create) => {
    const app = new Koa();
    const errors: unknown[] = [];
    app.on("error", (error) => errors.push(error));
    app.use(async (ctx, next) => {
      await next();
      ctx.etag = "abc";
      ctx.set("x-after", String(ctx.status));
    });
    app.use(async (ctx) => {
      if (ctx.path === "/kept-out") ctx.respond = false;
      upgrade(ctx, Echo);
      if (ctx.path === "/body") ctx.body = { a: "body" };
      if (ctx.path === "/stream") ctx.body = (await import("node:stream")).Readable.from(["a", "b"]);
      if (ctx.path === "/status") ctx.status = 204;
      if (ctx.path === "/redirect") ctx.redirect("/login");
    });
    const port = await listen((create as (listener: unknown) => Server)(app.callback()));
    for (const path of ["/", "/body", "/stream", "/status"]) {
      const knocked = await knock(port, path);
      await echoes(knocked);
      expect(knocked.headers).toHaveProperty("x-after");
      expect(Object.keys(knocked.headers).filter((name) => /^content-|^etag$|^transfer-/.test(name))).toEqual([]);
    }
    await echoes(await knock(port, "/kept-out"));
    // A response with another status cancels the upgrade.
    expect((await knock(port, "/redirect")).status).toBe(302);
    expect(errors).toEqual([]);
  },
);

test.each(ENGINES)(
  "%s: what comes after a route that has upgraded finds a response that has ended",
  async (_, engine) => {
    const print = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => print.mockRestore());
    const seen: unknown[] = [];
    const app = express();
    app.get("/", (req, _res, next) => {
      upgrade(req, Echo);
      next();
    });
    app.use((_req, res) => {
      seen.push(res.headersSent);
      res.status(404).set("x-late", "1").send("Not Found");
    });
    const knocked = await knockHttp1(await listen(http.createServer(app), engine), "/");
    await turns();
    await echoes(knocked);
    expect(knocked.headers).not.toHaveProperty("x-late");
    expect(seen).toEqual([true]);
    expect(print).not.toHaveBeenCalled();
  },
);
