/** The echo of `ws` on a plain `node:http` server, options as they are by default. */
import http from "node:http";
import { WebSocketServer } from "ws";
import { serve } from "../lib/serve.mjs";

const server = http.createServer();
/** As ours: every message on its own, whatever its size, at level 6. */
const deflate = {
  threshold: 0,
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  zlibDeflateOptions: { level: 6, memLevel: 8 },
};
const perMessageDeflate = process.argv.includes("compress") || (process.argv.includes("deflate") && deflate);
const sockets = new WebSocketServer({ server, perMessageDeflate });
sockets.on("connection", (ws) => {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
});
serve(server);
