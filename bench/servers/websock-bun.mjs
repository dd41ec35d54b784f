/** Our echo server on `Bun.serve`, with default options. */
import { ours } from "../lib/ours.mjs";
import { answer } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("bun");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = Bun.serve(attach({ hostname: "127.0.0.1", port: 0, fetch: (request) => upgrade(request, echo) }));
answer(server.port);
