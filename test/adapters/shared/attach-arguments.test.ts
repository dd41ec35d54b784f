/** Tests of the errors for wrong arguments of `attach`. */
import http from "node:http";
import http2 from "node:http2";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { describe, expect, test } from "vitest";
import * as bun from "websock-js/bun";
import * as cloudflare from "websock-js/cloudflare";
import * as deno from "websock-js/deno";
import * as node from "websock-js/node";
import * as ws from "websock-js/ws";
import { WebSocketServer } from "ws";

type Attach = (...args: unknown[]) => unknown;

const Echo = { init: () => ["ok", 0], handleIn: () => ["ok", 0] };
const sockets = new WebSocketServer({ noServer: true });
const nest = { getHttpServer: () => undefined, listen: () => undefined, on: () => {}, emit: () => {}, close: () => {} };
const bunServer = { upgrade: () => true, publish: () => 0, fetch: () => undefined };
const isNone = 'attach() from "websock-js/node" expects a server of node:http, https or http2, not';

describe("attach says what it was given, and what it takes:", () => {
  test.each<[string, Attach, unknown[], string]>([
    ["nothing", node.attach as Attach, [], `${isNone} undefined; pass the result of http.createServer(app)`],
    ["null", node.attach as Attach, [null], `${isNone} null`],
    ["a port", node.attach as Attach, [4000], `${isNone} 4000`],
    ["options", node.attach as Attach, [{ only: () => true }], `${isNone} an object`],
    [
      "an Express app",
      node.attach as Attach,
      [express()],
      `${isNone} an Express app; pass the server, as in const server = http.`,
    ],
    [
      "a listener",
      node.attach as Attach,
      [function app() {}],
      `${isNone} the function app; pass the server, as in const server`,
    ],
    [
      "a Fastify instance",
      node.attach as Attach,
      [fastify()],
      `${isNone} a Fastify instance; pass its server, as in attach(app.server)`,
    ],
    [
      "a Koa app",
      node.attach as Attach,
      [new Koa()],
      `${isNone} a Koa app; pass the server, as in attach(app.listen(port))`,
    ],
    [
      "a Nest app",
      node.attach as Attach,
      [nest],
      `${isNone} a Nest application; pass its server, as in attach(app.getHttpServer())`,
    ],
    [
      "a Hono app",
      node.attach as Attach,
      [new Hono()],
      `${isNone} a Hono; pass the server, as in attach(serve({ fetch: app.fetch }))`,
    ],
    [
      "a WebSocketServer",
      node.attach as Attach,
      [sockets],
      `${isNone} a WebSocketServer; use attach() from "websock-js/ws"`,
    ],
    [
      "a server of Bun",
      node.attach as Attach,
      [bunServer],
      `${isNone} a Bun server; use attach() from "websock-js/bun"`,
    ],

    [
      "nothing",
      ws.attach as Attach,
      [],
      "expects a WebSocketServer, not undefined; pass new WebSocketServer({ server })",
    ],
    [
      "a server of node:http",
      ws.attach as Attach,
      [http.createServer()],
      'not a Server; for a server of node:http, use attach() from "websock-js/node"',
    ],

    [
      "nothing",
      bun.attach as Attach,
      [],
      "expects the options of Bun.serve, not undefined; use Bun.serve(attach({ port, fetch }))",
    ],
    ["nothing to serve", bun.attach as Attach, [{ port: 1 }], "not an object; use Bun.serve(attach({ port, fetch }))"],
    ["a Hono app", bun.attach as Attach, [new Hono()], "not a Hono; use attach({ port, fetch: app.fetch })"],
    ["a server of Bun", bun.attach as Attach, [bunServer], "not an object; use Bun.serve(attach({ port, fetch }))"],
    ["a fetch handler", bun.attach as Attach, [function handle() {}], "not the function handle; use Bun.serve(attach("],

    [
      "nothing",
      deno.attach as Attach,
      [],
      "expects a handler of Deno.serve, not undefined; use Deno.serve(attach((request) => …))",
    ],
    ["a Hono app", deno.attach as Attach, [new Hono()], "not a Hono; use attach(app.fetch)"],
    [
      "an export of deno serve",
      deno.attach as Attach,
      [{ fetch: () => new Response() }],
      "not an object; use attach(app.fetch)",
    ],

    [
      "nothing",
      cloudflare.attach as Attach,
      [],
      "attach(this, this.ctx, Chat), not undefined and undefined. In a Worker, call upgrade() without attach()",
    ],
    [
      "a Hono app",
      cloudflare.attach as Attach,
      [new Hono()],
      "not a Hono and undefined. In a Worker, call upgrade() without attach()",
    ],
    ["the handler in the place of the context", cloudflare.attach as Attach, [{}, Echo], "not an object and an object"],
    [
      "no handler",
      cloudflare.attach as Attach,
      [{}, { acceptWebSocket: () => {}, getWebSockets: () => [], waitUntil: () => {} }],
      "the third argument of attach() must be a handler or an object of named handlers, not undefined",
    ],
  ])("%s", (_what, attach, args, message) => {
    expect(() => attach(...args)).toThrow(TypeError);
    expect(() => attach(...args)).toThrow(message);
  });

  test.each<[string, Attach, unknown]>([
    ["node", node.attach as Attach, () => http.createServer()],
    ["ws", ws.attach as Attach, () => new WebSocketServer({ server: http.createServer() })],
    ["bun", bun.attach as Attach, () => ({ fetch: () => undefined })],
    ["deno", deno.attach as Attach, () => () => undefined],
  ])("%s: its options are checked", (_name, attach, serverOf) => {
    for (const options of [{ defalts: {} }, null, 5]) {
      expect(() => attach((serverOf as () => unknown)(), options)).toThrow(TypeError);
    }
    expect(() => attach((serverOf as () => unknown)(), { defalts: {} })).toThrow(
      'unknown option "defalts"; valid options are',
    );
  });

  test("an option of upgrade belongs into defaults", () => {
    expect(() => node.attach(http.createServer(), { timeout: 5 } as object)).toThrow(
      '"timeout" is an option of upgrade(); pass it to attach() as { defaults: { timeout: … } }',
    );
  });

  test("a server of http2 is one", () => {
    expect(node.attach(http2.createServer()).connections).toBe(0);
  });
});

test.each([{ deadine: 5 }, { batchSize: 1 }])("drain(%o) says that there is no such option", (options) => {
  const attachment = node.attach(http.createServer());
  expect(() => attachment.drain(options as object)).toThrow("valid options are batch, interval, deadline");
});
