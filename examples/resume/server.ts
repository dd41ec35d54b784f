/** Serves the room and its page on `node:http`, with Redis (`ENGINE=redis`, the default) or NATS (`ENGINE=jetstream`). */
import { readFile } from "node:fs/promises";
import http from "node:http";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { PubSub } from "websock-js/pubsub";
import * as Room from "./room.ts";
import { withSharedReads } from "./store.ts";

const engines = { redis: () => import("./redis.ts"), jetstream: () => import("./jetstream.ts") };
const engine = process.env.ENGINE ?? "redis";
if (engine !== "redis" && engine !== "jetstream") throw new Error("ENGINE must be redis or jetstream");
const { connect } = await engines[engine]();
const { store, backplane } = await connect();

const room: Room.Room = {
  store: withSharedReads(store),
  topic: new PubSub({ backplane }).topic<Room.Signal>("lobby"),
};
// A node that is killed between the append and the broadcast has sent no signal.
setInterval(() => room.topic.broadcast({}, { local: true }), 10_000);

const page = await readFile(new URL("../../resume/page.html", import.meta.url));

const server = http.createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  if (pathname !== "/room") return response.setHeader("content-type", "text/html; charset=utf-8").end(page);
  const last = searchParams.get("last") ?? undefined;
  if (last !== undefined && !/^\d{1,20}-\d{1,20}$/.test(last)) return response.writeHead(400).end();
  return upgrade(request, Room, { ...room, last }, { maxMessageSize: 4_096 });
});
attach(server);

server.listen(Number(process.env.PORT ?? 4000), "localhost", () => {
  const address = server.address();
  console.log(`http://localhost:${typeof address === "object" ? address?.port : address}`);
});
