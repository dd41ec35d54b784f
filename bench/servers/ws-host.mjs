/** Our echo on a server of `ws`, options as they are by default. */
import http from "node:http";
import { ok, push, upgrade } from "websock-js";
import { attach } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { serve } from "../lib/serve.mjs";

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = http.createServer((req) => upgrade(req, echo));
attach(new WebSocketServer({ server }));
serve(server);
