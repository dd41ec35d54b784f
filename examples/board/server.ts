/** Serves the task board and its page on `node:http`. */
import { readFile } from "node:fs/promises";
import http from "node:http";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Board from "./board.ts";

const page = await readFile(new URL("../../board/page.html", import.meta.url));

const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  if (pathname !== "/board") return response.setHeader("content-type", "text/html; charset=utf-8").end(page);
  const arg = { board: searchParams.get("board") ?? "", name: searchParams.get("name") ?? "" };
  return upgrade(request, Board, arg, { maxMessageSize: 4_096 });
});
attach(server);

const port = Number(process.env.PORT ?? 4000);
server.listen(port, "localhost", () => console.log(`http://localhost:${port}/#lobby`));
