/** srvx: a bare `fetch` handler. Its `error` makes the response of what `upgrade` throws, and prints nothing. */
import type { Server } from "node:http";
import { serve } from "srvx/node";
import { UpgradeError, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const server = serve({
  port: Number(process.env.PORT ?? 4000),
  silent: true,
  gracefulShutdown: false,
  fetch(request) {
    const user = userOf(request.headers.get("cookie"));
    const room = /^\/rooms\/(\w+)$/.exec(new URL(request.url).pathname)?.[1];
    if (room === undefined) return new Response("there is no such page\n", { status: 404 });
    if (user === undefined) return Response.json({ error: "who are you?" }, { status: 401 });
    return upgrade(request, Greeter, { user, room });
  },
  error(error) {
    return error instanceof UpgradeError ? error.getResponse() : new Response(null, { status: 500 });
  },
});

const sockets = attach(server.node?.server as Server);

await server.ready();
console.log(new URL("/rooms/lobby", server.url).href);

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => void sockets.drain().then(() => server.close(true)));
