/**
 * The control for handshakes: answers 101 through a `ServerResponse`, in the request listener of `node:http`, or with
 * `--host=express` in a route of Express. Nothing is validated, and there is no session.
 */
import { createHash } from "node:crypto";
import http from "node:http";
import { argument, serve } from "../lib/serve.mjs";

/** @type {(request: http.IncomingMessage, response: http.ServerResponse) => void} */
const route = (request, response) => {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  response.useChunkedEncodingByDefault = false;
  response.writeHead(101, { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Accept": accept });
  response.end();
};

const express = async () => {
  const { default: express } = await import("express");
  const app = express();
  for (let i = 0; i < 5; i++) app.use((_req, res, next) => void next(res.setHeader(`x-${i}`, "1") && undefined));
  app.get("/", route);
  return app;
};

const listener = argument("host") === "express" ? await express() : route;
const server = http.createServer(listener);
server.on("upgrade", (request, socket) => {
  const response = new http.ServerResponse(request);
  response.assignSocket(/** @type {import("node:net").Socket} */ (socket));
  response.on("finish", () => response.detachSocket(/** @type {import("node:net").Socket} */ (socket)));
  socket.on("end", () => socket.end());
  socket.on("error", () => socket.destroy());
  socket.resume();
  /** @type {any} */ (listener)(request, response);
});
serve(server);
