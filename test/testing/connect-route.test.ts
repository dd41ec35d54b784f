import fastify from "fastify";
import { H3 } from "h3";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { type HandleResult, handler, ok, push, text, UpgradeError, upgrade } from "websock-js";
import { connectRoute, type Injection } from "websock-js/testing";
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

const fetched = async (response: Response): Promise<Answer> => ({
  status: response.status,
  headers: Object.fromEntries(response.headers),
  body: await response.text(),
});

/** The same routes, in every framework that can be asked without a server. */
const apps: Record<string, () => Send> = {
  Fastify: () => {
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
    return async (_request, injection) => {
      const { statusCode, headers, body } = await app.inject(injection);
      return { status: statusCode, headers, body };
    };
  },
  Hono: () => {
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
    return async (request) => fetched(await app.request(request));
  },
  h3: () => {
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
    return async (request) => fetched(await app.request(request));
  },
  "a fetch handler": () => async (request) => {
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
  },
};

describe.each(Object.entries(apps))("%s", (_name, create) => {
  const cookie = "user=ada";

  test("the whole route: middleware, parameters, the argument, and the handler behind it", async () => {
    const { client, response } = await connectRoute<Answer, string>("/rooms/lobby?a=1", create(), {
      headers: { cookie, "sec-websocket-protocol": "other, chat" },
    });
    expect(response).toMatchObject({ status: 200, headers: { "x-hook": "1" } });
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
    const { client } = await connectRoute("/async", create(), { headers: { cookie } });
    expect(await client!.receive()).toEqual({ opcode: "text", data: "later " });
  });

  test("a refusal is the app's own answer, and there is no connection", async () => {
    const { client, response } = await connectRoute("/rooms/lobby", create());
    expect(client).toBeUndefined();
    expect(response).toMatchObject({ status: 401, headers: { "x-hook": "1" } });
    expect(JSON.parse(response.body)).toEqual(refusal);
  });

  test("the request is checked as a server does", async () => {
    const headers = { cookie, origin: "https://elsewhere.example" };
    const { client, response } = await connectRoute("/rooms/lobby", create(), { headers });
    expect({ client, status: response.status }).toEqual({ client: undefined, status: 403 });
  });

  test("a route that throws after upgrade has no connection", async () => {
    const { client, response } = await connectRoute("/throws", create(), { headers: { cookie } });
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
