/**
 * Our echo server, in which every upgrade runs in an AsyncLocalStorage context of its own, as with tracing or
 * request-scoped logging.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import http from "node:http";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("node");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const storage = new AsyncLocalStorage();
let requests = 0;
const server = http.createServer((req) => storage.run({ id: ++requests }, () => upgrade(req, echo)));
attach(server);
serve(server);
