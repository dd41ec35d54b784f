/** Our echo server, upgraded in a route of Express, after five middleware functions. */
import http from "node:http";
import express from "express";
import { ours } from "../lib/ours.mjs";
import { serve } from "../lib/serve.mjs";

const { attach, ok, push, upgrade } = await ours("node");

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};

const app = express();
for (let i = 0; i < 5; i++) app.use((_req, res, next) => void next(res.setHeader(`x-${i}`, "1") && undefined));
app.get("/", (req) => upgrade(req, echo));

const server = http.createServer(app);
attach(server);
serve(server);
