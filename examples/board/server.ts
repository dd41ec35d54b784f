/** Serves the task board and its page, with Express. */
import http from "node:http";
import { fileURLToPath } from "node:url";
import express from "express";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { Board } from "./board.ts";

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const app = express();
app.get("/", (_req, res) => res.sendFile(file("../../board/page.html")));
app.get("/client.js", (_req, res) => res.sendFile(file("client.js")));
app.get("/board", (req) => {
  const { board = "", name = "" } = req.query;
  upgrade(req, Board, { board: String(board), name: String(name) }, { maxMessageSize: 4_096 });
});

export const server = http.createServer(app);
attach(server);

const port = Number(process.env.PORT ?? 4000);
server.listen(port, "localhost", () => console.log(`http://localhost:${port}/#lobby`));
