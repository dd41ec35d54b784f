/** Topics on a host whose connections cannot send to each other, such as a Worker. */
import { expect, test } from "vitest";
import { testPubSub } from "websock-js/testing";
import { selfOn } from "./self-on.ts";

test("where connections cannot send to each other, subscribe and address throw, and say what to do", () => {
  const self = selfOn({ crossConnection: false });
  const pubsub = testPubSub();
  for (const act of [() => pubsub.topic("room").subscribe(self), () => pubsub.address(self)])
    expect(act).toThrow(/do not work on this host \(worker\).*Durable Object/);
});
