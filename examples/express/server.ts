/** Express: the upgrade is a route of a router, behind the middleware of all its routes. */
import type { AddressInfo } from "node:net";
import express from "express";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const rooms = express.Router();

rooms.use((req, res, next) => {
  res.locals.user = userOf(req.headers.cookie);
  if (res.locals.user === undefined) res.status(401).json({ error: "who are you?" });
  else next();
});

rooms.get("/:room", (req, res) => upgrade(req, Greeter, { user: res.locals.user, room: req.params.room }));

const app = express();
app.use("/rooms", rooms);

const server = app.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`http://localhost:${(server.address() as AddressInfo).port}/rooms/lobby`);
});

const sockets = attach(server);

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => {
    server.close();
    void sockets.drain().then(() => server.closeAllConnections());
  });
