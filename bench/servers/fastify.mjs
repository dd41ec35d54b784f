/** An echo server of `@fastify/websocket`, with default options. */
import websocket from "@fastify/websocket";
import Fastify from "fastify";
import { answer } from "../lib/serve.mjs";

const app = Fastify();
await app.register(websocket);
app.get("/", { websocket: true }, (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
});
await app.listen({ host: "127.0.0.1", port: 0 });
answer(/** @type {import("node:net").AddressInfo} */ (app.server.address()).port);
