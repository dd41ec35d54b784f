/** The demo's server: nothing but `node:http` and WebSock. `PORT` and `HOST` say where it listens. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { serveFile } from "./files.ts";
import * as Room from "./room.ts";

const port = Number(process.env.PORT ?? 4000);
const host = process.env.HOST ?? "localhost";

const server = http.createServer((request, response) => {
  const [path = "", query] = (request.url ?? "").split("?");
  if (path !== "/room") return serveFile(path, request, response);
  // An ordinary route. Pages of other origins, and requests that are no upgrade, are answered by the library.
  const params = new URLSearchParams(query);
  const arg = { room: params.get("room") ?? "", name: params.get("name") ?? "" };
  upgrade(request, Room, arg, { maxMessageSize: 16_384, timeout: 30_000, heartbeat: 10_000 });
});

const sockets = attach(server);

/** Takes no more visitors, sends those that are here away with 1012 (they will come back), and ends when all are gone. */
const shutDown = (): void => {
  console.log("closing");
  server.close();
  void sockets.drain().then(() => server.closeAllConnections());
};

// Once: who is in a hurry presses Ctrl+C again.
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, shutDown);

server.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EADDRINUSE") throw error;
  console.error(`port ${port} is taken; try another: PORT=4001 npm run demo`);
  process.exitCode = 1;
});

server.listen(port, host, () => {
  const { port } = server.address() as AddressInfo;
  console.log(`the chat is open: http://${host}:${port}`);
});
