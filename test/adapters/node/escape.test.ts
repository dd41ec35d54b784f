/**
 * Tests that an uncaught refusal is answered without ending the process, and that a caught one is left to the
 * application.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import express from "express";
import fastify from "fastify";
import Koa from "koa";
import { describe, expect, onTestFinished, test } from "vitest";
import { UpgradeError, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { compiledForChildren } from "../../support/child.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { nextTick } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

// Records process events: an error of the library that reaches the application's listeners fails the test.
failOnUncaught();
const runChild = compiledForChildren();

type Route = (req: IncomingMessage, res: ServerResponse) => unknown;

/** Places in which a route may call `upgrade`. */
const places: readonly (readonly [name: string, route: (call: Route) => Route])[] = [
  ["at once", (call) => call],
  ["in an async function", (call) => async (req, res) => call(req, res)],
  ["behind an await", (call) => async (req, res) => call(await Promise.resolve(req), res)],
  [
    "behind an await of a timer",
    (call) => async (req, res) => {
      await nextTick();
      call(req, res);
    },
  ],
  ["in a promise that is not returned", (call) => (req, res) => void Promise.resolve().then(() => call(req, res))],
  ["in an async callback", (call) => (req, res) => void setImmediate(async () => call(req, res))],
  ["in a callback of a timer", (call) => (req, res) => void setTimeout(() => call(req, res))],
  ["in a callback of nextTick", (call) => (req, res) => process.nextTick(() => call(req, res))],
  ["in a microtask", (call) => (req, res) => queueMicrotask(() => call(req, res))],
];

/** Routers that ignore the results of their routes. */
const routers: readonly (readonly [name: string, run: (route: Route) => RequestListener])[] = [
  ["node:http", (route) => route],
  [
    "a router that drops promises, as Express 4 does",
    (route) => (req, res) => {
      route(req, res);
    },
  ],
  ["Express 5", (route) => express().get("/", route as express.RequestHandler) as RequestListener],
];

const refuse: Route = (req) => upgrade(req, Echo);

describe.each(routers)("%s", (_name, run) => {
  test.each(places)(
    "%s: a plain GET gets 426, an invalid handshake 403, and the process continues",
    async (_place, route) => {
      const { port, errors } = await serve(run(route(refuse)));
      for (let i = 0; i < 2; i++) {
        const client = await RawClient.open(port);
        const answer = await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer();
        expect([answer.status, answer.headers.upgrade]).toEqual([426, "websocket"]);
      }
      const stranger = await RawClient.open(port);
      expect((await stranger.send(handshake({ Origin: "http://elsewhere.example" })).answer()).status).toBe(403);
      await RawClient.upgraded(port);
      expect(errors).toEqual([]);
    },
  );

  test.each(places.slice(0, 6))("%s: a refusal that the application catches is not answered", async (_place, route) => {
    const catching: Route = (req, res) => {
      try {
        upgrade(req, Echo);
      } catch (error) {
        res.writeHead(418).end((error as UpgradeError).name);
      }
    };
    const { port } = await serve(run(route(catching)));
    const client = await RawClient.open(port);
    const answer = await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer();
    // In a plain callback nothing is known about callers, so the refusal is answered.
    expect(answer.status).toBe(_place === "in an async callback" ? 426 : 418);
  });
});

test.each(places)("Express: an error handler gets the refusal, %s", async (_place, route) => {
  const app = express();
  app.get("/", route(refuse) as express.RequestHandler);
  app.use((error: UpgradeError, _req: unknown, res: express.Response, _next: unknown) => {
    res.status(error.status).json({ handled: error.name });
  });
  const { port } = await serve(app as RequestListener);
  const client = await RawClient.open(port);
  const answer = await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer();
  expect([answer.status, answer.body]).toEqual([426, '{"handled":"UpgradeError"}']);
});

test("with AsyncLocalStorage, which gives promise reactions an async id", async () => {
  const storage = new AsyncLocalStorage();
  const seen: unknown[] = [];
  const { port } = await serve((req, res) =>
    storage.run(1, async () => {
      await nextTick();
      try {
        upgrade(req, Echo);
      } catch (error) {
        seen.push(error);
        res.writeHead(418).end();
      }
    }),
  );
  const client = await RawClient.open(port);
  expect((await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer()).status).toBe(418);
  expect(seen).toEqual([expect.any(UpgradeError)]);
});

test.each([true, false])("if a framework writes the response, earlyValidateUpgrade: %s", async (early) => {
  const options = { earlyValidateUpgrade: early };
  const koa = new Koa().use((ctx) => upgrade(ctx, Echo, undefined, options));
  koa.silent = true;
  const { port } = await serve(koa.callback());
  const app = fastify();
  app.get("/", async (request) => upgrade(request, Echo, undefined, options));
  attach(app.server);
  onTestFinished(() => app.close());
  await app.listen({ port: 0, host: "127.0.0.1" });
  for (const at of [port, (app.server.address() as { port: number }).port]) {
    const client = await RawClient.open(at);
    const answer = await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer();
    expect([answer.status, answer.headers.upgrade]).toEqual([426, "websocket"]);
    expect(answer.body).toContain("needs an upgrade request");
    client.socket.destroy();
  }
});

test("with earlyValidateUpgrade: false, a plain GET is answered, too, and upgrade returns normally", async () => {
  const returned: unknown[] = [];
  const { port } = await serve((req) => {
    returned.push(upgrade(req, Echo, undefined, { earlyValidateUpgrade: false }));
  });
  const client = await RawClient.open(port);
  expect((await client.send(requestOf("GET / HTTP/1.1", { Host: "a" })).answer()).status).toBe(426);
  expect(returned).toHaveLength(1);
});

describe("rejections of others are not affected", () => {
  const app = `
    import http from "node:http";
    import { ok, upgrade } from "websock-js";
    import { attach } from "websock-js/node";
    const routes = [async (req) => upgrade(req, { init: () => ok(0), handleIn: () => ok(0) })];
    const server = http.createServer((req, res) => { for (const route of routes) route(req, res); });
    attach(server);
    server.listen(0, "127.0.0.1", async () => {
      const get = () => fetch("http://127.0.0.1:" + server.address().port).then(({ status }) => console.log(status));
      await get();
      await get();
      OTHER
      setTimeout(() => process.exit(), 50);
    });`;

  test.each([
    ["a rejection", 'Promise.reject(new Error("of another"));'],
    ["an exception", 'setImmediate(() => { throw new Error("of another"); });'],
  ])("%s ends the process", async (_what, other) => {
    const { code, stdout, stderr } = await runChild(app.replace("OTHER", other));
    expect([code, stdout]).toEqual([1, "426\n426\n"]);
    expect(stderr).toContain("Error: of another");
    expect(stderr).not.toContain("UpgradeError");
  });

  test.each(["throw", "strict", "warn", "none"])(
    "with --unhandled-rejections=%s a refusal ends nothing",
    async (mode) => {
      const { code, stdout } = await runChild(app.replace("OTHER", ""), `--unhandled-rejections=${mode}`);
      expect([code, stdout]).toEqual([0, "426\n426\n"]);
    },
  );
});
