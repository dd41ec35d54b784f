/** Hono on Deno: `attach` wraps the handler of `Deno.serve`. */
import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { secureHeaders } from "hono/secure-headers";
import { upgrade } from "websock-js";
import { attach } from "websock-js/deno";
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

const handler = attach(app.fetch);
const server = Deno.serve(
  {
    port: Number(Deno.env.get("PORT") ?? 4000),
    onListen: ({ port }) => console.log(`http://localhost:${port}/rooms/lobby`),
  },
  handler,
);

Deno.addSignalListener(
  "SIGTERM",
  () =>
    void handler.sockets
      .drain()
      .then(() => server.shutdown())
      .then(Deno.exit),
);
