/** Our echo: the built package on a plain `node:http` server, options as they are by default. */
import http from "node:http";
import { pathToFileURL } from "node:url";
import { serve } from "../lib/serve.mjs";

const args = process.argv.slice(2);
const compress = { deflate: { threshold: 0 }, compress: true };
const checkout = args.find((arg) => !(arg in compress));
const inCheckout = (/** @type {string} */ file) => pathToFileURL(`${checkout}/dist/${file}`).href;
const { ok, push, upgrade } = await import(checkout ? inCheckout("index.js") : "websock-js");
const { attach } = await import(checkout ? inCheckout("adapters/node.js") : "websock-js/node");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = http.createServer((req) => upgrade(req, echo));
const [, compressed = false] = Object.entries(compress).find(([name]) => args.includes(name)) ?? [];
attach(server, { defaults: { compress: compressed } });
serve(server);
