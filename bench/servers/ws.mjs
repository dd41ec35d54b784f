/** An echo server of `ws` on a plain `node:http` server, with default options except for compression. */
import http from "node:http";
import { WebSocketServer } from "ws";
import { serve } from "../lib/serve.mjs";

const server = http.createServer();
/** The same as ours: every message is compressed on its own, whatever its size, at level 6. */
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
