/** Our echo server on a plain `node:http` server, with default options except for compression. */
import http from "node:http";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("node");
const compress = { deflate: { threshold: 0 }, compress: true };

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = http.createServer((req) => upgrade(req, echo));
const [, compressed = false] = Object.entries(compress).find(([name]) => process.argv.includes(name)) ?? [];
attach(server, { defaults: { compress: compressed } });
serve(server);
