/** Our echo server on `Deno.serve`, with default options. */
import { ours } from "../lib/ours.mjs";
import { answer } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("deno");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port) },
  attach((/** @type {Request} */ request) => upgrade(request, echo)),
);
