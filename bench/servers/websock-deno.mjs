/** Our echo on `Deno.serve`, options as they are by default. */
import { ok, push, upgrade } from "websock-js";
import { attach } from "websock-js/deno";
import { answer } from "../lib/serve.mjs";

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port) },
  attach((/** @type {Request} */ request) => upgrade(request, echo)),
);
