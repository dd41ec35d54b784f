/** Topics on a host whose connections cannot send to each other, such as a Worker. */
import { expect, test } from "vitest";
import { ok } from "websock-js";
import { ManualClock, testPubSub } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities, MemoryTransport } from "../../src/testing/memory-transport.ts";

test("where connections cannot send to each other, subscribe and address throw, and say what to do", () => {
  const nothing = (): void => undefined;
  const peer = { onMessage: nothing, onClose: nothing, onAbort: nothing, onResume: nothing };
  const { self } = new Session(
    callbacksOf({ init: () => ok(0), handleIn: () => ok(0) }),
    new MemoryTransport(peer),
    FACTS,
    {
      capabilities: { ...capabilities, host: "worker", crossConnection: false },
      options: resolveOptions({}),
      clock: new ManualClock(),
      byteOps: portableByteOps,
      onError: nothing,
    },
  );
  const pubsub = testPubSub();
  for (const act of [() => pubsub.topic("room").subscribe(self), () => pubsub.address(self)])
    expect(act).toThrow(/do not work on this host \(worker\).*Durable Object/);
});
