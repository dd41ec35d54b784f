/** Publishing inside callbacks of handlers, over nodes. */
import { expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { type HandleResult, ok, push, stop } from "../../../src/result.ts";
import { connect } from "../../../src/testing/connect.ts";
import type { Self } from "../../../src/websock.ts";
import { textsOf } from "../members.ts";
import { messagesOf, setUp } from "./rooms.ts";

test("in init, handleIn, handleInfo and terminate: each message once, in the order of the calls", async () => {
  const { cluster, nodes, members } = await setUp(2);
  const room = nodes[0]!.pubsub.topic<string>("room");
  let depth = 0;
  const client = await connect<undefined, Self<string>, string>(
    {
      init: (_, self) => {
        room.publish(text("1 before subscribe"));
        room.subscribe(self);
        room.publish(text("2 after subscribe"));
        return push(text("own"), self);
      },
      handleIn: ({ data }, self): HandleResult<Self<string>> => {
        if (data === "stop") return stop("normal", self, { messages: text("last") });
        room.publish(text("3 to all"));
        room.publish(text("4 to others"), { except: self });
        return push(text("answer"), self);
      },
      handleInfo: (info, self) => {
        expect(depth).toBe(0);
        depth++;
        if (info.length < 3) room.broadcast(`${info}x`);
        room.publish(text(`info ${info}`), { except: self });
        depth--;
        return ok(self);
      },
      terminate: (_, self) => {
        expect(room.size).toBe(1);
        expect([...room.members()]).not.toContain(self);
        room.publish(text("6 terminated"));
      },
    },
    undefined,
  );
  await cluster.settle();
  client.send("go");
  await cluster.settle();
  room.broadcast("x");
  await cluster.settle();
  client.send("stop");
  await client.ended;
  await cluster.settle();
  expect(textsOf(client)).toEqual(["own", "2 after subscribe", "3 to all", "answer", "last"]);
  const expected = [
    "1 before subscribe",
    "2 after subscribe",
    "3 to all",
    "4 to others",
    "info x",
    "info xx",
    "info xxx",
    "6 terminated",
  ];
  for (const member of members) {
    expect(messagesOf(member)).toEqual(expected);
    expect(member.texts().filter((each) => each.startsWith("info:"))).toEqual(["info:x", "info:xx", "info:xxx"]);
  }
});

test("a node that answers each message of the other: no recursion, no loss, no order but that of each", async () => {
  const { cluster, nodes } = await setUp(2);
  const rooms = nodes.map(({ pubsub }) => pubsub.topic<number>("ping-pong"));
  const seen: number[][] = [[], []];
  const clients = await Promise.all(
    rooms.map((room, i) =>
      connect<undefined, Self<number>, number>(
        {
          init: (_, self) => {
            room.subscribe(self);
            return ok(self);
          },
          handleIn: (_, self) => ok(self),
          handleInfo: (info, self) => {
            seen[i]!.push(info);
            if (info < 100) room.broadcast(info + 1, { except: self });
            return ok(self);
          },
        },
        undefined,
      ),
    ),
  );
  await cluster.settle();
  rooms[0]!.broadcast(0, { local: true });
  for (let i = 0; i < 100; i++) await cluster.settle();
  expect(seen).toEqual([Array.from({ length: 51 }, (_, i) => 2 * i), Array.from({ length: 50 }, (_, i) => 2 * i + 1)]);
  for (const client of clients) client.close(1000);
});

test("a listener of nodes may broadcast to nodes again", async () => {
  const { cluster, nodes } = await setUp(3);
  const seen: string[][] = nodes.map(() => []);
  for (const [i, { pubsub }] of nodes.entries())
    pubsub.onNodesInfo((info, node) => {
      seen[i]!.push(`${info} of ${nodes.findIndex((each) => each.pubsub.node === node)}`);
      if (info === "ping" && i > 0) pubsub.broadcastToNodes(`pong${i}`);
    });
  expect(nodes[0]!.pubsub.broadcastToNodes("ping")).toBe(true);
  await cluster.settle();
  for (const infos of seen) expect(infos.toSorted()).toEqual(["ping of 0", "pong1 of 1", "pong2 of 2"]);
});

test("a listener of nodes may add and remove listeners, also itself: each is called once at most", async () => {
  const { cluster, nodes } = await setUp(1);
  const { pubsub } = nodes[0]!;
  const calls: string[] = [];
  const again = (): void => {
    calls.push("again");
    if (calls.length > 10) return;
    offAgain();
    offAgain = pubsub.onNodesInfo(again);
    offRemoved();
  };
  let offAgain = pubsub.onNodesInfo(again);
  const offRemoved = pubsub.onNodesInfo(() => calls.push("removed"));
  pubsub.onNodesInfo(() => calls.push("last"));
  pubsub.broadcastToNodes("info");
  expect(calls).toEqual(["again", "last"]);
  pubsub.broadcastToNodes("info");
  expect(calls).toEqual(["again", "last", "last", "again"]);
  await cluster.settle();
});
