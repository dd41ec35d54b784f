import http, { type IncomingMessage, type ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import express from "express";
import session from "express-session";
import fastify from "fastify";
import { H3 } from "h3";
import { toNodeHandler } from "h3/node";
import { Hono } from "hono";
import Koa from "koa";
import { describe, expect, test } from "vitest";
import { type DataMessage, type HandleResult, handler, ok, push, text, UpgradeError, upgrade } from "websock-js";
import {
  type ConnectedRoute,
  connectRoute,
  type Injection,
  type NodeApp,
  type RouteRequestOptions,
} from "websock-js/testing";
import { failOnUncaught } from "../support/uncaught.ts";

failOnUncaught();

const Greeter = handler<string>()({
  init: (greeting: string, { connection }): HandleResult<number> =>
    push(text(`${greeting} ${connection.subprotocol ?? ""}`), 0),
  handleIn: (message, count) => push(message, count + 1),
  handleInfo: (info, count) => push(text(info), count),
});

const options = { subprotocols: ["chat"] };
const refusal = { error: "who are you?" };
const who = (cookie: string | null | undefined): string | undefined => /user=(\w+)/.exec(cookie ?? "")?.[1];

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

type Send = (request: Request, injection: Injection) => Promise<Answer>;

/** Sends a request through an app that is new. */
type Connect = (url: string, options?: RouteRequestOptions) => Promise<ConnectedRoute<Answer, string>>;

const sent =
  (create: () => Send): Connect =>
  (url, options) =>
    connectRoute<Answer, string>(url, create(), options);

const onNode =
  (create: () => NodeApp | Promise<NodeApp>): Connect =>
  async (url, options) => {
    const { response, client } = await connectRoute<string>(url, await create(), options);
    return { response: { ...response, headers: Object.fromEntries(response.headers) }, client };
  };

const fetched = async (response: Response): Promise<Answer> => ({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: await response.text(),
});

const createFastify = () => {
  const app = fastify();
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-hook", "1");
    if (who(request.headers.cookie) === undefined) return reply.code(401).send(refusal);
  });
  app.get<{ Params: { room: string } }>("/rooms/:room", (request) =>
    upgrade(request, Greeter, `${who(request.headers.cookie)} in ${request.params.room}`, options),
  );
  app.get("/async", async (request) => upgrade(request, Greeter, "later", options));
  app.get("/throws", async (request) => {
    upgrade(request, Greeter, "never");
    throw new Error("after all");
  });
  return app;
};

const createHono = () => {
  const app = new Hono();
  app.use(async (c, next) => {
    c.header("x-hook", "1");
    if (who(c.req.header("cookie")) === undefined) return c.json(refusal, 401);
    return next();
  });
  app.get("/rooms/:room", (c) =>
    upgrade(c, Greeter, `${who(c.req.header("cookie"))} in ${c.req.param("room")}`, options),
  );
  app.get("/async", async (c) => upgrade(c, Greeter, "later", options));
  app.get("/throws", (c) => {
    upgrade(c, Greeter, "never");
    throw new UpgradeError(500, "after all");
  });
  return app;
};

const createH3 = () => {
  const app = new H3({ silent: true });
  app.use((event) => {
    event.res.headers.set("x-hook", "1");
    event.res.errHeaders.set("x-hook", "1");
    if (who(event.req.headers.get("cookie")) === undefined) return Response.json(refusal, { status: 401 });
    return undefined;
  });
  app.get("/rooms/:room", (event) =>
    upgrade(event, Greeter, `${who(event.req.headers.get("cookie"))} in ${event.context.params?.room}`, options),
  );
  app.get("/async", async (event) => upgrade(event, Greeter, "later", options));
  app.get("/throws", (event) => {
    upgrade(event, Greeter, "never");
    throw new Error("after all");
  });
  return app;
};

const createExpress = () => {
  const app = express();
  app.use((req, res, next) => {
    res.set("x-hook", "1");
    if (who(req.headers.cookie) === undefined) res.status(401).json(refusal);
    else next();
  });
  app.get("/rooms/:room", (req) => upgrade(req, Greeter, `${who(req.headers.cookie)} in ${req.params.room}`, options));
  app.get("/async", async (req) => {
    await new Promise((resolve) => setImmediate(resolve));
    upgrade(req, Greeter, "later", options);
  });
  app.get("/throws", () => {
    throw new Error("before");
  });
  app.use(((_error, _req, res, next) => {
    if (_error instanceof UpgradeError) next(_error);
    else res.status(500).end();
  }) as express.ErrorRequestHandler);
  return app;
};

const createKoa = () => {
  const app = new Koa();
  app.silent = true;
  app.use(async (ctx, next) => {
    ctx.set("x-hook", "1");
    if (who(ctx.headers.cookie) === undefined) {
      ctx.status = 401;
      ctx.body = refusal;
    } else await next();
  });
  app.use(async (ctx) => {
    const [, path, room] = ctx.path.split("/");
    if (path === "async") await new Promise((resolve) => setImmediate(resolve));
    upgrade(ctx, Greeter, path === "async" ? "later" : `${who(ctx.headers.cookie)} in ${room}`, options);
    if (path === "throws") throw new Error("after all");
  });
  return app;
};

/** A listener of `node:http` that awaits nothing and catches nothing. */
const listener = (req: IncomingMessage, res: ServerResponse): void => {
  res.setHeader("x-hook", "1");
  const user = who(req.headers.cookie);
  const [, path, room] = new URL(req.url!, "http://localhost").pathname.split("/");
  if (user === undefined) res.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify(refusal));
  else if (path === "throws") res.writeHead(500).end();
  else if (path === "async") setImmediate(() => upgrade(req, Greeter, "later", options));
  else upgrade(req, Greeter, `${user} in ${room}`, options);
};

/** The same routes, in every kind of app that can be asked without a port. */
const apps: Record<string, Connect> = {
  "Fastify's inject": sent(() => {
    const app = createFastify();
    return async (_request, injection) => {
      const { statusCode, headers, body } = await app.inject(injection);
      return { status: statusCode, headers, body };
    };
  }),
  "Hono's request": sent(() => {
    const app = createHono();
    return async (request) => fetched(await app.request(request));
  }),
  "h3's request": sent(() => {
    const app = createH3();
    return async (request) => fetched(await app.request(request));
  }),
  "a fetch handler": sent(() => async (request) => {
    const user = who(request.headers.get("cookie"));
    if (user === undefined) return fetched(Response.json(refusal, { status: 401, headers: { "x-hook": "1" } }));
    const [, path, room] = new URL(request.url).pathname.split("/");
    try {
      const response = upgrade(request, Greeter, path === "async" ? "later" : `${user} in ${room}`, options);
      if (path === "throws") return fetched(new Response(null, { status: 500 }));
      response.headers.set("x-hook", "1");
      return fetched(response);
    } catch (error) {
      return fetched((error as UpgradeError).getResponse());
    }
  }),
  Express: onNode(() => ({ listener: createExpress() })),
  Koa: onNode(() => ({ listener: createKoa().callback() })),
  "node:http": onNode(() => ({ listener })),
  "a server of node:http": onNode(() => ({ server: http.createServer(listener) })),
  "Fastify's server": onNode(async () => {
    const app = createFastify();
    await app.ready();
    return { server: app.server };
  }),
  "Hono on Node": onNode(() => ({ listener: getRequestListener(createHono().fetch) })),
  "h3 on Node": onNode(() => ({ listener: toNodeHandler(createH3()) })),
};

/** These return the app's own answer; the others what is on the wire. */
const ANSWERS_ITSELF = new Set(["Fastify's inject", "Hono's request", "h3's request", "a fetch handler"]);

describe.each(Object.entries(apps))("%s", (name, connectTo) => {
  const upgraded = ANSWERS_ITSELF.has(name) ? 200 : 101;
  const cookie = "user=ada";

  test("the whole route: middleware, parameters, the argument, and the handler behind it", async () => {
    const { client, response } = await connectTo("/rooms/lobby?a=1", {
      headers: { cookie, "sec-websocket-protocol": "other, chat" },
    });
    expect(response).toMatchObject({ status: upgraded, headers: { "x-hook": "1" } });
    expect(await client!.receive()).toEqual({ opcode: "text", data: "ada in lobby chat" });
    client!.send("hello");
    expect(await client!.receive()).toEqual({ opcode: "text", data: "hello" });
    client!.info("news");
    client!.advance(0);
    expect(await client!.receive()).toEqual({ opcode: "text", data: "news" });
    client!.close(4000);
    expect(await client!.ended).toMatchObject({ reason: "remote", code: 4000 });
  });

  test("an async route", async () => {
    const { client } = await connectTo("/async", { headers: { cookie } });
    expect(await client!.receive()).toEqual({ opcode: "text", data: "later " });
  });

  test("a refusal is the app's own answer, and there is no connection", async () => {
    const { client, response } = await connectTo("/rooms/lobby");
    expect(client).toBeUndefined();
    expect(response).toMatchObject({ status: 401, headers: { "x-hook": "1" } });
    expect(JSON.parse(response.body)).toEqual(refusal);
  });

  test("the request is checked as a server does", async () => {
    const headers = { cookie, origin: "https://elsewhere.example" };
    const { client, response } = await connectTo("/rooms/lobby", { headers });
    expect({ client, status: response.status }).toEqual({ client: undefined, status: 403 });
  });

  test("a route that throws has no connection", async () => {
    const { client, response } = await connectTo("/throws", { headers: { cookie } });
    expect({ client, status: response.status }).toEqual({ client: undefined, status: 500 });
  });
});

test("two tests at the same time do not meet", async () => {
  const app = new Hono().get("/:name", async (c) => {
    await new Promise((resolve) => setImmediate(resolve));
    return upgrade(c, { ...Greeter, init: (name: string) => ok(name.length) }, c.req.param("name"));
  });
  const [a, b] = await Promise.all(
    ["a", "b"].map((name) => connectRoute(`/${name}`, (request) => app.request(request))),
  );
  expect(a!.client).not.toBe(b!.client);
  expect(a!.client).toBeDefined();
});

describe("an app of Node's", () => {
  const echo = { init: () => ok(0), handleIn: (message: DataMessage, state: number) => push(message, state) };

  test("answers what a client reads from the wire: status, headers, cookies, and no body", async () => {
    const app = express();
    app.use(session({ secret: "x", resave: false, saveUninitialized: true }));
    app.get("/", (req, res) => {
      res.cookie("a", "1");
      upgrade(req, echo, undefined, { subprotocols: ["chat"], headers: { "x-more": "yes" } });
    });
    const { response, client } = await connectRoute(
      "/",
      { listener: app },
      { headers: { "sec-websocket-protocol": "chat" } },
    );
    expect(response).toMatchObject({ status: 101, body: "" });
    expect(response.headers.get("sec-websocket-accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    expect(response.headers.get("sec-websocket-protocol")).toBe("chat");
    expect(response.headers.get("x-more")).toBe("yes");
    expect(response.headers.getSetCookie().map((cookie) => cookie.split("=")[0])).toEqual(["a", "connect.sid"]);
    expect(client).toBeDefined();
  });

  test("keeps a session from one request to the next", async () => {
    const app = express();
    app.use(session({ secret: "x", resave: false, saveUninitialized: true }));
    app.get("/", (req) => {
      const seen = req.session as unknown as { visits?: number };
      seen.visits = (seen.visits ?? 0) + 1;
      upgrade(req, { ...echo, init: (visits: number) => push(text(String(visits)), 0) }, seen.visits);
    });
    const first = await connectRoute("/", { listener: app });
    const cookie = first.response.headers.getSetCookie()[0]!.split(";")[0]!;
    const second = await connectRoute("/", { listener: app }, { headers: { cookie } });
    expect([await first.client!.receive(), await second.client!.receive()]).toMatchObject([
      { data: "1" },
      { data: "2" },
    ]);
  });

  test("sees where the request comes from, by which scheme and to which host", async () => {
    const app = express();
    app.get("/", (req) =>
      upgrade(
        req,
        { ...echo, init: (facts: string, self) => push(text(`${facts} ${self.connection.remoteAddress}`), 0) },
        [req.ip, req.protocol, req.hostname].join(" "),
      ),
    );
    for (const [url, facts] of [
      ["/", "127.0.0.1 http localhost 127.0.0.1"],
      ["https://chat.example/?a=1", "127.0.0.1 https chat.example 127.0.0.1"],
    ]) {
      const { client } = await connectRoute(url!, { listener: app });
      expect(await client!.receive()).toEqual({ opcode: "text", data: facts });
    }
  });

  test("answers a request that no route takes", async () => {
    const { response, client } = await connectRoute("/nowhere", { listener: express() });
    expect({ status: response.status, client }).toEqual({ status: 404, client: undefined });
    expect(response.body).toContain("Cannot GET /nowhere");
  });

  test.each([true, false])(
    "refuses what a server refuses: earlyValidateUpgrade is %s",
    async (earlyValidateUpgrade) => {
      const { response, client } = await connectRoute(
        "/",
        { listener: (req: IncomingMessage) => upgrade(req, echo, undefined, { earlyValidateUpgrade }) },
        { headers: { "sec-websocket-version": "8" } },
      );
      expect([response.status, response.headers.get("sec-websocket-version"), client]).toEqual([426, "13", undefined]);
    },
  );

  test("takes the server's defaults", async () => {
    const { client } = await connectRoute(
      "/",
      { listener: (req: IncomingMessage) => upgrade(req, echo) },
      { defaults: { timeout: 1_000 } },
    );
    client!.advance(1_000);
    expect(await client!.ended).toMatchObject({ reason: "timeout" });
  });

  test.each([
    [
      "throws",
      (): never => {
        throw new Error("of its own");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("of its own");
      },
    ],
  ])("that %s tells the test, which has no server to tell", async (_how, fails) => {
    await expect(connectRoute("/", { listener: fails })).rejects.toThrow("of its own");
  });

  test("large answers arrive whole", async () => {
    const body = "x".repeat(1_000_000);
    const { response } = await connectRoute("/", {
      listener: (_req: IncomingMessage, res: ServerResponse) => void res.end(body),
    });
    expect(response.body === body).toBe(true);
  });

  test("an answer that breaks off is an error", async () => {
    const connecting = connectRoute("/", {
      listener: (_req: IncomingMessage, res: ServerResponse) => {
        res.writeHead(200, { "content-length": "10" });
        res.write("x", () => res.destroy());
      },
    });
    await expect(connecting).rejects.toThrow("aborted");
  });

  test("what is no app is refused, with what is taken", async () => {
    await expect(connectRoute("/", {} as NodeApp)).rejects.toThrow("connectRoute() expects { listener: app }");
    await expect(connectRoute("/", { listener: {} } as never)).rejects.toThrow('"listener" must be a function');
  });
});
