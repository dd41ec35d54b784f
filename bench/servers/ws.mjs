/** The echo of `ws` on a plain `node:http` server, options as they are by default. */
import http from "node:http";
import { WebSocketServer } from "ws";
import { serve } from "../lib/serve.mjs";

const server = http.createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
});
serve(server);
