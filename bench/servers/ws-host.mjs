/** Our echo server on a server of `ws`, with default options. */
import http from "node:http";
import { WebSocketServer } from "ws";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("ws");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const server = http.createServer((req) => upgrade(req, echo));
attach(new WebSocketServer({ server }));
serve(server);
