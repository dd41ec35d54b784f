/** Tests that refused upgrades are counted and published once each, and not logged. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import http from "node:http";
import { format } from "node:util";
import express from "express";
import fastify from "fastify";
import Koa from "koa";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type RefusedEvent, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { knockHttp1, knockHttp2 } from "../../support/upgrade-client.ts";
import { listen, serveByWs } from "../../support/ws-server.ts";

const Named = { ...Echo, name: "echo" };
const elsewhere = { origin: "http://elsewhere.example" };
const early = { earlyValidateUpgrade: true };
const late = { earlyValidateUpgrade: false };

/** Collects the messages published during a test. */
const published = (): Omit<RefusedEvent, "error" | "cause">[] => {
  const events: Omit<RefusedEvent, "error" | "cause">[] = [];
  const onMessage = (message: unknown): void => {
    const { error, cause, ...event } = message as RefusedEvent;
    expect(cause).toBe(error.message);
    expect(error).toMatchObject({ name: "UpgradeError", status: event.status, message: expect.stringMatching(/./) });
    events.push(event);
  };
  subscribe("websock-js:refused", onMessage);
  onTestFinished(() => void unsubscribe("websock-js:refused", onMessage));
  return events;
};

const forbidden = { status: 403, method: "GET", path: "/a", handler: "echo" };

describe("counted and published once each", () => {
  test.each([early, late])("node:http, %o", async (options) => {
    const events = published();
    const { port, sockets } = await serve((req) => upgrade(req, Named, undefined, options));
    const { status, client } = await knockHttp1(port, "/a?token=secret", elsewhere);
    client.socket.destroy();
    expect([status, events, sockets.refused]).toEqual([403, [forbidden], 1]);
    (await knockHttp1(port, "/a")).client.socket.destroy();
    expect([events.length, sockets.refused, sockets.connections]).toEqual([1, 1, 1]);
  });

  test.each([early, late])("node:http2, %o", async (options) => {
    const events = published();
    const { port, sockets } = await serveHttp2((req) => upgrade(req, Named, undefined, options));
    const { status } = await knockHttp2(port, "/a?token=secret", elsewhere);
    expect([status, events, sockets.refused]).toEqual([403, [{ ...forbidden, method: "CONNECT" }], 1]);
  });

  test.each([early, late])("ws, %o", async (options) => {
    const events = published();
    const { port, sockets } = await serveByWs((req) => upgrade(req, Named, undefined, options));
    const { status, client } = await knockHttp1(port, "/a", elsewhere);
    client.socket.destroy();
    expect([status, events, sockets.refused]).toEqual([403, [forbidden], 1]);
  });

  test("an ordinary GET of the route", async () => {
    const events = published();
    const { port, sockets } = await serve((req) => upgrade(req, Named));
    expect((await fetch(`http://127.0.0.1:${port}/a?x`)).status).toBe(426);
    expect([events, sockets.refused]).toEqual([[{ ...forbidden, status: 426 }], 1]);
  });

  test("a request that `only` leaves to the app, in a router that changes its url", async () => {
    const events = published();
    const app = express();
    app.use(
      "/api",
      express.Router().get("/socket", (req) => void upgrade(req, Named)),
    );
    const { port, sockets } = await serve(app as http.RequestListener, { only: () => false });
    expect((await fetch(`http://127.0.0.1:${port}/api/socket`)).status).toBe(426);
    expect([events, sockets.refused]).toEqual([[{ ...forbidden, status: 426, path: "/api/socket" }], 1]);
  });

  test("a CONNECT that reaches no route", async () => {
    const events = published();
    const { port, sockets } = await serveHttp2((req) => upgrade(req, Named));
    expect((await knockHttp2(port, "/a", { ":protocol": "chat" })).status).toBe(501);
    expect(events).toEqual([{ status: 501, method: "CONNECT", path: "/a", handler: undefined }]);
    expect(sockets.refused).toBe(1);
  });

  test("a request with too many headers, which does not reach the app", async () => {
    const events = published();
    const { port, server, sockets } = await serve(() => expect.unreachable());
    server.maxHeadersCount = 10;
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, "1"]));
    const { status, client } = await knockHttp1(port, "/a", many);
    client.socket.destroy();
    // Newer versions of Node refuse such a request themselves.
    expect([status, sockets.refused]).toEqual(status === 431 ? [431, 0] : [400, 1]);
    expect(events).toEqual(status === 431 ? [] : [{ ...forbidden, status: 400, handler: undefined }]);
  });

  test("a request during drain: 503 with Retry-After", async () => {
    const events = published();
    const { port, sockets } = await serve(() => expect.unreachable());
    void sockets.drain();
    const { status, headers, client } = await knockHttp1(port, "/a");
    client.socket.destroy();
    expect([status, headers["retry-after"], sockets.refused]).toEqual([503, "5", 1]);
    expect(events).toEqual([{ ...forbidden, status: 503, handler: undefined }]);
  });

  test("a request during drain on HTTP/2: 503 with Retry-After", async () => {
    const events = published();
    const { port, sockets } = await serveHttp2((_req, res) => void res.end());
    void sockets.drain();
    const { status, headers } = await knockHttp2(port, "/a");
    expect([status, headers["retry-after"], sockets.refused, events.length]).toEqual([503, "5", 1, 1]);
  });

  test("a route that calls upgrade again after a refusal is counted once", async () => {
    const events = published();
    const { port, sockets } = await serve((req) => {
      try {
        upgrade(req, Named);
      } catch {
        upgrade(req, Echo);
      }
    });
    const { status, client } = await knockHttp1(port, "/a", elsewhere);
    client.socket.destroy();
    expect([status, events, sockets.refused]).toEqual([403, [forbidden], 1]);
  });

  test("a refusal by the app itself is not counted", async () => {
    const events = published();
    const { port, sockets } = await serve((_req, res) => void res.writeHead(401).end());
    const { status, client } = await knockHttp1(port, "/a");
    client.socket.destroy();
    expect([status, events, sockets.refused]).toEqual([401, [], 0]);
  });
});

describe("no stack trace is logged by", () => {
  const printedBy = async (app: http.RequestListener, status: number): Promise<unknown[]> => {
    const print = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => print.mockRestore());
    const server = http.createServer(app);
    const sockets = attach(server);
    const { status: got, client } = await knockHttp1(await listen(server), "/a", elsewhere);
    client.socket.destroy();
    expect([got, sockets.refused]).toEqual([status, 1]);
    // Express prints in the next event-loop tick.
    await new Promise(setImmediate);
    return print.mock.calls.map((args) => format(...args));
  };
  const line = expect.stringMatching(/^UpgradeError: the origin [^\n]*$/);

  test("node:http", async () => {
    expect(await printedBy((req) => upgrade(req, Named), 403)).toEqual([]);
  });

  test("Express, which prints a line", async () => {
    const app = express().set("env", "production");
    app.get("/a", (req) => void upgrade(req, Named));
    expect(await printedBy(app as http.RequestListener, 403)).toEqual([line]);
  });

  test("Koa, which prints nothing for exposed errors", async () => {
    const app = new Koa().use((ctx) => void upgrade(ctx, Named));
    expect(await printedBy(app.callback(), 403)).toEqual([]);
  });

  test("Fastify, whose logger prints the stack", async () => {
    const lines: string[] = [];
    const app = fastify({ logger: { stream: { write: (text: string) => void lines.push(text) } } });
    const sockets = attach(app.server);
    app.get("/a", async (request) => upgrade(request, Named));
    onTestFinished(() => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    const { port } = app.server.address() as { port: number };
    const { status, client } = await knockHttp1(port, "/a", elsewhere);
    client.socket.destroy();
    expect([status, sockets.refused]).toEqual([403, 1]);
    const errors = lines.map((text) => JSON.parse(text) as { err?: { stack: string } }).flatMap(({ err }) => err ?? []);
    for (const { stack } of errors) expect(stack).toEqual(line);
  });
});
