/** The app of `app.mjs` on `Bun.serve`, with Elysia and functions of `routes`. */
import { Elysia } from "elysia";
import { upgrade } from "websock-js";
import { attach } from "websock-js/bun";
import { app, attached, Echo, Facts, options } from "./app.mjs";

const elysia = new Elysia()
  .onRequest(({ set }) => void (set.headers["x-before"] = "1"))
  .onAfterHandle(({ set }) => void (set.headers["x-after"] = "1"))
  .get("/elysia/:name", (context) => upgrade(context, Facts, context.params.name))
  .get("/elysia/:name/request", ({ request, params }) => upgrade(request, Facts, params.name));

const serving = attach(
  {
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    routes: {
      "/route/:name": (request) => {
        request.cookies.set("route", "1");
        return upgrade(request, Facts, request.params.name);
      },
      "/methods": { GET: (request) => upgrade(request, Echo), POST: () => new Response("posted") },
      "/static": new Response("static"),
    },
    fetch: (request) => (request.url.includes("/elysia/") ? elysia.fetch(request) : app(request)),
  },
  options,
);
Object.assign(attached, { sockets: serving.sockets });
console.log(`listening ${Bun.serve(serving).port}`);
process.once("SIGTERM", () => serving.sockets.drain().then(() => process.exit()));
