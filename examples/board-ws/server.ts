/** Serves the task board on `ws` and its page, with Express. */
import http from "node:http";
import { fileURLToPath } from "node:url";
import express from "express";
import { webSocketServer } from "./board.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const app = express();
app.get("/", (_req, res) => res.sendFile(file("../../board/page.html")));
app.get("/client.js", (_req, res) => res.sendFile(file("../board/client.js")));

export const server = http.createServer(app);

// An upgrade request does not go through Express: its path and its origin are checked here.
server.on("upgrade", (req, socket, head) => {
  socket.on("error", () => socket.destroy());
  const { origin, host } = req.headers;
  const isSameHost = origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
  if (!/^\/board(\?|$)/.test(req.url ?? "")) socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n");
  else if (!isSameHost) socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n");
  else webSocketServer.handleUpgrade(req, socket, head, (its) => webSocketServer.emit("connection", its, req));
});

const port = Number(process.env.PORT ?? 4000);
server.listen(port, "localhost", () => console.log(`http://localhost:${port}/#lobby`));
