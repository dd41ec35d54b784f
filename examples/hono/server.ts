/** Hono on Node: the route returns what `upgrade` returns. */
import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";

const rooms = new Hono<{ Variables: { user: string } }>();

rooms.use(async (c, next) => {
  const user = getCookie(c, "user");
  if (user === undefined) return c.json({ error: "who are you?" }, 401);
  c.set("user", user);
  return next();
});

rooms.get("/:room", (c) => upgrade(c, Greeter, { user: c.get("user"), room: c.req.param("room") }));

const app = new Hono().use(secureHeaders()).route("/rooms", rooms);

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 4000) }, ({ port }) => {
  console.log(`http://localhost:${port}/rooms/lobby`);
}) as Server;

const sockets = attach(server);

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => {
    server.close();
    void sockets.drain().then(() => server.closeAllConnections());
  });
