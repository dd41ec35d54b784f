/** Topics over real sockets. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { handler, ok, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { testPubSub } from "websock-js/testing";
import { WebSocket } from "ws";

test("on Node, members receive what others publish, in order, until they are kicked", async () => {
  const room = testPubSub().topic("room");
  const Room = handler()({
    init: (_: void, self) => {
      room.subscribe(self);
      return ok(0);
    },
    handleIn: (message, count) => {
      room.publish(message);
      return ok(count + 1);
    },
  });
  const server = createServer((req) => void upgrade(req, Room));
  attach(server);
  onTestFinished(() => void server.close());
  await once(server.listen(0), "listening");
  const { port } = server.address() as AddressInfo;

  const received: string[][] = [[], [], []];
  const sockets = received.map((list) =>
    new WebSocket(`ws://localhost:${port}`).on("message", (data) => list.push(String(data))),
  );
  await Promise.all(sockets.map((socket) => once(socket, "open")));
  for (let i = 0; i < 500; i++) sockets[0]!.send(String(i));
  while (received[0]!.length < 500) await once(sockets[0]!, "message");
  room.publish(text("last"));
  room.stop("kicked", { code: 4003 });
  const closes = await Promise.all(sockets.map((socket) => once(socket, "close")));
  expect(closes.map(([code]) => code)).toEqual([4003, 4003, 4003]);
  const expected = [...Array.from({ length: 500 }, (_, i) => String(i)), "last"];
  expect(received).toEqual([expected, expected, expected]);
  expect(room.size).toBe(0);
});
