/** Serves two rooms to phoenix.js, the client of Phoenix channels, and a page that uses it. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import express, { type Request } from "express";
import { upgrade } from "websock-js";
import { accept, channels, refuse } from "websock-js/channels";
import { attach } from "websock-js/node";
import { leaveNodes, pubsub } from "./node.ts";
import { Room, type User } from "./room.ts";

const socket = channels<Request, User>({
  pubsub,
  // In production, check the token here: new Socket("/socket", { authToken }) sends it as `authToken`.
  connect: ({ name = "" }) => (/^\w{1,20}$/.test(name) ? accept({ name }) : refuse("a name has 1 to 20 letters")),
  id: ({ name }) => `user:${name}`,
  channels: { "room:*": Room },
});

const page = await readFile(new URL("../../channels/page.html", import.meta.url));
const phoenix = fileURLToPath(import.meta.resolve("phoenix"));

const app = express();
app.get("/", (_req, res) => void res.type("html").send(page));
app.get("/phoenix.mjs", (_req, res) => res.sendFile(phoenix));
app.get("/socket/websocket", async (req) => upgrade(req, socket, await socket.connect(req), socket.options));
// Closes the connections of a user on all nodes: curl -X POST localhost:4000/kick/bob
app.post("/kick/:name", (req, res) => {
  socket.disconnect(`user:${req.params.name}`);
  res.sendStatus(204);
});

const port = Number(process.env.PORT ?? 4000);
const server = app.listen(port, "localhost", () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" && address !== null ? address.port : port}`);
});
const sockets = attach(server);

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, async () => {
    server.close();
    await sockets.drain();
    server.closeAllConnections();
    await leaveNodes();
  });
