/** Compiled, never run: what `upgrade` returns is what a route of each framework may return, without a cast. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Context as ElysiaContext } from "elysia";
import express from "express";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { H3, type H3Event } from "h3";
import { Hono, type Context as HonoContext } from "hono";
import Koa, { type Context as KoaContext } from "koa";
import type { ServerRequest } from "srvx";
import { serve } from "srvx/node";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Echo from "./fixtures/echo.ts";

/** Exactly this type: `any` is neither. */
type Exactly<T, Expected> = [T] extends [Expected]
  ? [Expected] extends [T]
    ? 0 extends 1 & T
      ? never
      : true
    : never
  : never;
const exactly = <Expected>() => ({ is: <T>(_value: T, _proof: Exactly<T, Expected>): void => {} });

export const returns = (
  node: IncomingMessage,
  node2: Http2ServerRequest,
  expressRequest: express.Request,
  fastifyRequest: FastifyRequest,
  fastifyReply: FastifyReply,
  koa: KoaContext,
  hono: HonoContext,
  h3: H3Event,
  elysia: ElysiaContext,
  srvx: ServerRequest,
  request: Request,
) => {
  exactly<void>().is(upgrade(node, Echo, "hello"), true);
  exactly<void>().is(upgrade(node2, Echo, "hello"), true);
  exactly<void>().is(upgrade(expressRequest, Echo, "hello"), true);
  exactly<undefined>().is(upgrade(fastifyRequest, Echo, "hello"), true);
  exactly<undefined>().is(upgrade(fastifyReply, Echo, "hello"), true);
  exactly<void>().is(upgrade(koa, Echo, "hello"), true);
  exactly<Response>().is(upgrade(hono, Echo, "hello"), true);
  exactly<Response>().is(upgrade(h3, Echo, "hello"), true);
  exactly<Response>().is(upgrade(elysia, Echo, "hello"), true);
  exactly<Response>().is(upgrade(srvx, Echo, "hello"), true);
  exactly<Response>().is(upgrade(request, Echo, "hello"), true);
  // @ts-expect-error it is a Response
  exactly<void>().is(upgrade(hono, Echo, "hello"), true);
  // @ts-expect-error `init` wants a string
  upgrade(hono, Echo, 1);
};

/** Route by route, as arrow functions that return what `upgrade` returns. */
export const routes = () => {
  express().get("/:room", (req) => upgrade(req, Echo, req.params.room));
  express().get("/:room", async (req) => upgrade(req, Echo, req.params.room));
  express.Router().get("/:room", (req, _res, next) => (req.params.room ? upgrade(req, Echo, req.params.room) : next()));

  const app = fastify();
  app.get<{ Params: { room: string } }>("/:room", (request) => upgrade(request, Echo, request.params.room));
  app.get<{ Params: { room: string } }>("/:room", async (request) => upgrade(request, Echo, request.params.room));
  app.get("/", (request, reply) => (request.headers.cookie ? upgrade(request, Echo, "hello") : reply.code(401).send()));
  const app2 = fastify({ http2: true });
  app2.get("/", (request) => upgrade(request, Echo, "hello"));
  app2.get("/", async (request) => upgrade(request, Echo, "hello"));

  new Koa().use((ctx) => upgrade(ctx, Echo, "hello"));
  new Koa().use(async (ctx) => upgrade(ctx, Echo, "hello"));

  new Hono().get("/:room", (c) => upgrade(c, Echo, c.req.param("room")));
  new Hono().get("/:room", async (c) => upgrade(c, Echo, c.req.param("room")));
  new Hono().get("/", (c) => (c.req.header("cookie") ? upgrade(c, Echo, "hello") : c.json({ error: 401 }, 401)));

  new H3().get("/", (event) => upgrade(event, Echo, "hello"));
  new H3().get("/", async (event) => upgrade(event, Echo, "hello"));

  serve({ fetch: (request) => upgrade(request, Echo, "hello") });
  serve({ fetch: async (request) => upgrade(request, Echo, "hello") });
};

export const servers = async (
  http1: import("node:http").Server,
  https: import("node:https").Server,
  http2: import("node:http2").Http2Server,
  http2Secure: import("node:http2").Http2SecureServer,
) => {
  for (const server of [http1, https, http2, http2Secure]) attach(server);
  attach(fastify().server);
  attach(fastify({ http2: true }).server);
  attach(http2, { only: (request) => request.url === "/socket" && request.headers.origin !== undefined });
  http1.on("request", (req: IncomingMessage, _res: ServerResponse) => upgrade(req, Echo, "hello"));
  http2.on("request", (req: Http2ServerRequest, _res: Http2ServerResponse) => upgrade(req, Echo, "hello"));
};
