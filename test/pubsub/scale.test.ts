/** Tests with many members, and of the memory and the handles that they leave behind. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { text } from "websock-js";
import { testPubSub } from "websock-js/testing";
import { compiledForChildren } from "../support/child.ts";
import { nextTick } from "../support/promises.ts";
import { ByteHost } from "./byte-members.ts";

const COUNT = 10_000;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

test("nothing is left of 10 000 connections that have ended", async () => {
  const pubsub = testPubSub();
  const sessions: WeakRef<object>[] = [];
  // In a function of its own, so that no variable keeps a member.
  const comeAndGo = (): void => {
    const host = new ByteHost();
    const members = Array.from({ length: COUNT }, () => host.join(pubsub, ["a", "b"]));
    for (const { self, session } of members) {
      pubsub.address(self);
      sessions.push(new WeakRef(session));
    }
    expect(pubsub.stats).toMatchObject({ topics: 2, subscriptions: 2 * COUNT, addresses: COUNT });
    pubsub.topic("a").publish(text("hello"));
    host.tick();
    for (const { sent, stream } of members) {
      expect(sent()).toEqual(["text hello"]);
      stream.events.onDisconnect();
    }
  };
  comeAndGo();
  expect(pubsub.stats).toMatchObject({ topics: 0, subscriptions: 0, addresses: 0, delivered: COUNT });
  // The target of a new WeakRef is kept alive until the current task is over.
  await nextTick();
  collectGarbage();
  expect(sessions.filter((session) => session.deref() !== undefined).length).toBe(0);
});

const run = compiledForChildren();

test("a PubSub with members and unsent messages does not keep the process alive", async () => {
  const { code, stderr } = await run(`
    import http from "node:http";
    import net from "node:net";
    import { ok, text, upgrade } from "websock-js";
    import { attach } from "websock-js/node";
    import { PubSub } from "websock-js/pubsub";
    const pubsub = new PubSub();
    const server = http.createServer((request) => void upgrade(request, {
      init: (_, self) => {
        pubsub.topic("room").subscribe(self);
        return ok(pubsub.address(self));
      },
      handleIn: () => ok(undefined),
    }));
    attach(server);
    server.listen(0, "127.0.0.1", () => {
      const socket = net.connect(server.address().port, "127.0.0.1");
      socket.write([
        "GET / HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", "",
      ].join("\\r\\n"));
      socket.once("data", () => {
        server.close();
        socket.destroy();
        pubsub.topic("room").publish(text("last"));
      });
    });
  `);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});
