/** Koa: the upgrade is a middleware, and what others set on `ctx`, before it or after, is in the answer. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import Koa from "koa";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const app = new Koa();

app.use(async (ctx, next) => {
  const start = performance.now();
  await next();
  ctx.set("server-timing", `app;dur=${(performance.now() - start).toFixed(1)}`);
});

app.use((ctx) => {
  const room = /^\/rooms\/(\w+)$/.exec(ctx.path)?.[1];
  if (room === undefined) return;
  const user = userOf(ctx.get("cookie")) ?? ctx.throw(401, "who are you?");
  upgrade(ctx, Greeter, { user, room });
});

const server = http.createServer(app.callback());
const sockets = attach(server);

server.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}/rooms/lobby`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => {
    server.close();
    void sockets.drain().then(() => server.closeAllConnections());
  });
