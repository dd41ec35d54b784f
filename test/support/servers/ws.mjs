/** An echo server of `ws`. The argument `deflate` turns compression on, with its defaults except for the threshold. */
import http from "node:http";
import { WebSocketServer } from "ws";

const perMessageDeflate = process.argv.includes("deflate") ? { threshold: 0 } : false;
const server = http.createServer((_, res) => res.writeHead(426).end());
const sockets = new WebSocketServer({ server, perMessageDeflate, maxPayload: 32 * 1024 * 1024 });
sockets.on("connection", (socket) => {
  socket.on("error", () => {}); // the client is notified by a close frame
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
