/** The server of the demo, on `node:http`. It listens on the port `PORT` of the host `HOST`, as all nodes do. */
import cluster from "node:cluster";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { serveFile } from "./files.ts";
import { events, leaveNodes, node, pubsub } from "./node.ts";
import { nodes } from "./options.ts";
import * as Room from "./room.ts";

const port = Number(process.env.PORT ?? 4000);
const host = process.env.HOST ?? "localhost";

const server = http.createServer((request, response) => {
  const [path = "", query] = (request.url ?? "").split("?");
  if (path !== "/room") return serveFile(path, request, response);
  // The library refuses pages of other origins, and requests that are not upgrade requests.
  const params = new URLSearchParams(query);
  const arg = { room: params.get("room") ?? "", name: params.get("name") ?? "", key: params.get("key") ?? "" };
  upgrade(request, Room, arg, { maxMessageSize: 16_384, timeout: 30_000, heartbeat: 10_000 });
});

const sockets = attach(server);

server.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EADDRINUSE") throw error;
  console.error(`port ${port} is taken; try another: PORT=4001 npm run demo`);
  process.exit(1);
});

const me = nodes === 1 ? "the chat" : `node ${node} of ${nodes} (process ${process.pid})`;

if (pubsub.status === "away") await once(events, "up");
server.listen(port, host, () => {
  const { port } = server.address() as AddressInfo;
  console.log(`${me} is open: http://${host}:${port}`);
});

// Each is listened for once: a second Ctrl+C ends the process immediately.
await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT")]);
console.log(`${me} is closing`);
// Accepts no more connections, and closes the open ones with 1012, so that the pages reconnect to another server.
server.close();
await sockets.drain();
server.closeAllConnections();
await leaveNodes();
cluster.worker?.disconnect();
