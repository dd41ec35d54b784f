/** Serves the stream, and a page that starts and stops it, on `node:http`. */
import { readFile } from "node:fs/promises";
import http from "node:http";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { readings } from "./readings.ts";
import * as Stream from "./stream.ts";

const page = await readFile(new URL("../../stream/page.html", import.meta.url));

const server = http.createServer((request, response) =>
  request.url === "/stream"
    ? upgrade(request, Stream, readings)
    : response.setHeader("content-type", "text/html; charset=utf-8").end(page),
);
attach(server);

const port = Number(process.env.PORT ?? 4000);
server.listen(port, "localhost", () => console.log(`http://localhost:${port}`));
