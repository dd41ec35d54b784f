/** h3: the route returns what `upgrade` returns. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { getCookie, getRouterParam, H3, HTTPError, toNodeHandler } from "h3";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";

const app = new H3();

app.use("/rooms/**", (event) => {
  event.context.user = getCookie(event, "user");
  if (event.context.user === undefined) throw new HTTPError({ status: 401, message: "who are you?" });
});

app.get("/rooms/:room", (event) =>
  upgrade(event, Greeter, { user: String(event.context.user), room: getRouterParam(event, "room") ?? "" }),
);

const server = http.createServer(toNodeHandler(app));
const sockets = attach(server);

server.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}/rooms/lobby`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => {
    server.close();
    void sockets.drain().then(() => server.closeAllConnections());
  });
