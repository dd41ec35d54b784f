/** Our echo server over HTTP/2, with default options. */
import http2 from "node:http2";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("node");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = http2.createServer((req) => upgrade(req, echo));
attach(server);
serve(server);
