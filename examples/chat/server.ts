/** The server of the demo, on `node:http`. It listens on the port `PORT` of the host `HOST`. */
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
  // The library refuses pages of other origins, and requests that are not upgrade requests.
  const params = new URLSearchParams(query);
  const arg = { room: params.get("room") ?? "", name: params.get("name") ?? "" };
  upgrade(request, Room, arg, { maxMessageSize: 16_384, timeout: 30_000, heartbeat: 10_000 });
});

const sockets = attach(server);

/** Accepts no more connections, and closes the open ones with 1012, so that the pages reconnect to another server. */
const shutDown = (): void => {
  console.log("closing");
  server.close();
  void sockets.drain().then(() => server.closeAllConnections());
};

// `once`: a second Ctrl+C ends the process immediately.
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
