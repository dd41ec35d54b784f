/** Nothing but `node:http`. `PORT` says where it listens. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const server = http.createServer((req, res) => {
  const user = userOf(req.headers.cookie);
  const room = /^\/rooms\/(\w+)$/.exec(req.url ?? "")?.[1];
  if (room === undefined) res.writeHead(404).end("there is no such page\n");
  else if (user === undefined) res.writeHead(401).end("who are you?\n");
  else upgrade(req, Greeter, { user, room });
});

const sockets = attach(server);

server.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}/rooms/lobby`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => {
    server.close();
    void sockets.drain().then(() => server.closeAllConnections());
  });
