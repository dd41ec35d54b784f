/** Tests that an upgrade in Fastify 4 and 5 is answered with the headers of the reply, however the route ends. */
import { once } from "node:events";
import type http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, describe, expect, test } from "vitest";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { compiledForChildren } from "../support/child.ts";
import { haveRuntime, startProgram } from "../support/runtimes.ts";
import { failOnUncaught } from "../support/uncaught.ts";
import { knockHttp1, knockHttp2 } from "../support/upgrade-client.ts";
import { CANCELLING, createApp, HIJACKING, HOOKS, OPENING, pathOf, VERSIONS } from "./fastify-routes.ts";

failOnUncaught();

type Knock = (path: string) => ReturnType<typeof knockHttp1>;

const opens = async (knock: Knock, path: string): Promise<Readonly<Record<string, string>>> => {
  const { status, headers, client } = await knock(path);
  expect(status).toBe("open");
  expect(await client.text()).toBe("hello");
  client.end();
  return headers;
};

const fromReply = { "x-before": "1", "x-after": "1", "set-cookie": "a=1\nb=2" };

/** Runs all routes, hooks and handlers. */
const suite = (start: () => Promise<Knock>): void => {
  let started: Promise<Knock> | undefined;
  const knock: Knock = async (path) => {
    started ??= start();
    return (await started)(path);
  };
  test.each(Object.keys(OPENING))("a route that %s", async (name) => {
    const headers = await opens(knock, pathOf(name));
    expect(headers).toMatchObject(fromReply);
    if (OPENING[name]!.toString().includes("x-route")) expect(headers["x-route"]).toBe("1");
  });
  test.each(Object.keys(HIJACKING))("a route that %s", async (name) => {
    expect(await opens(knock, pathOf(name))).not.toHaveProperty("x-after");
  });
  test.each(Object.entries(CANCELLING))("a route that %s", async (name, [expected]) => {
    expect((await knock(pathOf(name))).status).toBe(expected);
  });
  describe.each(["onRequest", "preHandler"])("%s", (stage) => {
    test.each(Object.keys(HOOKS))("%s", async (name) => {
      expect(await opens(knock, pathOf(`${stage}: ${name}`))).toMatchObject(fromReply);
    });
  });
  test("a not-found handler", async () => {
    expect(await opens(knock, "/missing/anything")).toMatchObject(fromReply);
  });
};

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

type Attach = (server: http.Server) => unknown;
const byWs: Attach = (server) => attachWs(new WebSocketServer({ server }));

describe.each(VERSIONS)("%s", (version) => {
  describe.each([
    ["HTTP/1.1", attach as Attach, knockHttp1],
    ["HTTP/1.1, by ws", byWs, knockHttp1],
    ["HTTP/2", attach as Attach, knockHttp2],
  ] as const)("over %s", (name, engine, knock) => {
    suite(async () => {
      const app = createApp(version, name === "HTTP/2");
      await app.ready();
      engine(app.server);
      const connections = new Set<{ destroy(): unknown }>();
      app.server.on("connection", (socket) => connections.add(socket));
      closing.push(() => {
        for (const connection of connections) connection.destroy();
        return new Promise((resolve) => app.server.close(resolve));
      });
      await once(app.server.listen(0, "127.0.0.1"), "listening");
      const { port } = app.server.address() as AddressInfo;
      return (path) => knock(port, path);
    });
  });

  describe.skipIf(!haveRuntime("bun"))("on Bun", () => {
    suite(async () => {
      const { port, stop } = await startProgram("bun", "test/frameworks/fastify-on-bun.ts", { args: [version] });
      closing.push(stop);
      return (path) => knockHttp1(port, path);
    });
  });
});

describe("an instance that was created before websock-js was loaded", () => {
  const run = compiledForChildren();
  const script = (version: string, route: string): string => `
    import { once } from "node:events";
    import WebSocket from "ws";
    import fastify from "${version}";
    const app = fastify();
    app.addHook("onRequest", async (request, reply) => void reply.header("x-before", "1"));
    const { ok, upgrade } = await import("websock-js");
    const { attach } = await import("websock-js/node");
    const handler = { init: () => ok(null), handleIn: () => ok(null) };
    app.get("/", ${route});
    await app.ready();
    attach(app.server, { defaults: { closeTimeout: 50 }, onError: (error) => { console.log(error.message); process.exit(); } });
    await once(app.server.listen(0, "127.0.0.1"), "listening");
    const client = new WebSocket("ws://127.0.0.1:" + app.server.address().port);
    const [{ headers }] = await once(client, "upgrade");
    console.log("open", headers["x-before"]);
    process.exit();
  `;
  const sync = "(request) => { upgrade(request, handler); }";
  const promise = "async (request) => { upgrade(request, handler); await null; }";
  const returned = "async (request, reply) => { upgrade(reply, handler); return reply; }";
  const both = "async (request, reply) => { upgrade(request, handler); return reply; }";
  test.each([
    ["fastify", "a route that returns nothing", sync, "open 1\n"],
    ["fastify", "a promise", promise, "open 1\n"],
    ["fastify", "the reply in a promise", both, "open 1\n"],
    ["fastify4", "a promise", promise, "open 1\n"],
    ["fastify4", "upgrade(reply) and the reply in a promise", returned, "open 1\n"],
  ])("%s: %s", async (version, _name, route, expected) => {
    expect(await run(script(version, route))).toEqual({ code: 0, stdout: expected, stderr: "" });
  });
  test.each([sync, both])("fastify4: a route that is never answered is reported with a hint: %s", async (route) => {
    const { stdout } = await run(script("fastify4", route));
    expect(stdout).toContain("the Fastify instance was created before websock-js was loaded");
    expect(stdout).toContain("upgrade(reply, …); return reply");
  });
});
