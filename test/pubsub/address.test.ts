import { expect, test } from "vitest";
import { text } from "websock-js";
import type { Address } from "websock-js/pubsub";
import { testPubSub } from "websock-js/testing";
import { join } from "./members.ts";

test("an address survives JSON, and reaches handleInfo of its connection", async () => {
  const pubsub = testPubSub();
  const [a, b] = [await join(pubsub, []), await join(pubsub, [])];
  const address: Address<string> = JSON.parse(JSON.stringify(pubsub.address(a.self)));
  expect(pubsub.send(address, "hi")).toBe(true);
  await a.client.settled();
  expect([a.texts(), b.texts()]).toEqual([["info:hi"], []]);
});

test("stop ends the connection with an address", async () => {
  const pubsub = testPubSub();
  const { self, client } = await join(pubsub, []);
  const address = pubsub.address(self);
  expect(pubsub.stop(address, "kicked", { code: 4003, messages: text("bye") })).toBe(true);
  expect(pubsub.stop(address, "kicked")).toBe(false);
  expect((await client.ended).code).toBe(4003);
});

test("forged, truncated and foreign addresses, and those of connections that have ended, reach no connection", async () => {
  const pubsub = testPubSub();
  const { self, client, texts } = await join(pubsub, []);
  const address = pubsub.address(self);
  const other = testPubSub().address(self);
  for (const wrong of ["", ">", address.slice(0, -1), `${address}>`, other, `${pubsub.node}:`])
    expect(pubsub.send(wrong as Address<string>, "x")).toBe(false);
  expect(() => pubsub.send(self as never, "x" as never)).toThrow(TypeError);
  client.drop();
  await client.ended;
  expect(pubsub.send(address, "x")).toBe(false);
  expect(pubsub.address(self)).toBe(address);
  expect([texts(), pubsub.stats.addresses]).toEqual([[], 0]);
});

test("after close, addresses reach no connection, and new ones are not registered", async () => {
  const pubsub = testPubSub();
  const { self, client, texts } = await join(pubsub, []);
  const address = pubsub.address(self);
  await pubsub.close();
  expect([pubsub.send(address, "x"), pubsub.stop(address, "kicked")]).toEqual([false, false]);
  expect([pubsub.address(self), pubsub.send(address, "x")]).toEqual([address, false]);
  await client.settled();
  expect([texts(), self.signal.aborted, pubsub.stats.addresses]).toEqual([[], false, 0]);
});
