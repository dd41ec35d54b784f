/** Hosts that answer the peer's close frame by themselves: an answer that is held back would be lost. */
import { describe, expect, test } from "vitest";
import { type CloseReason, type DataMessage, ok, push } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import type { ConnectionFacts } from "../../src/session/self.ts";
import { Session } from "../../src/session/session.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";
import type { Transport } from "../../src/transport.ts";

const MiB = 1024 * 1024;

/** An echo whose peer reads nothing, on a host that answers a close frame by itself or does not. */
const start = (answersClose: boolean, maxBuffered: number) => {
  const calls: string[] = [];
  const transport = {
    open: () => undefined,
    buffered: 0,
    bytesFlushed: 0,
    paused: false,
    send: (_opcode: string, _data: unknown, size: number) => void (transport.buffered += size),
    close: () => void calls.push("close"),
    abort: () => undefined,
    pause: () => void (transport.paused = true),
    resume: () => void (transport.paused = false),
  };
  const echo = {
    init: () => ok(0),
    handleIn: (message: DataMessage, count: number) => {
      calls.push(`message of ${message.data.length}`);
      return push(message, count + 1);
    },
    terminate: (reason: CloseReason) =>
      void calls.push(`terminate ${typeof reason === "string" ? reason : reason.error}`),
  };
  const session = new Session(callbacksOf(echo), transport as Transport, {} as ConnectionFacts, {
    capabilities: { ...capabilities, answersClose },
    options: resolveOptions({ maxBuffered }),
    clock: new ManualClock(),
    byteOps: portableByteOps,
    onError: (error) => void calls.push(`reported ${error}`),
  });
  session.start(undefined);
  const receive = (size: number): void => session.onText("x".repeat(size), size);
  return { session, transport, calls, receive };
};

describe("while more than the outbound high-water mark is unsent", () => {
  test("what has been received is handled where the host answers a close by itself; reading stops all the same", () => {
    const { session, transport, calls, receive } = start(false, MiB);
    receive(70_000);
    receive(5);
    expect(transport.paused).toBe(true);
    session.onClose(1000, "");
    expect(calls).toEqual(["message of 70000", "message of 5", "close", "terminate remote"]);
  });

  test("it waits where the session answers the close", () => {
    const { transport, calls, receive } = start(true, MiB);
    receive(70_000);
    receive(5);
    expect([transport.paused, calls]).toEqual([true, ["message of 70000"]]);
  });

  test("it is handled once the peer has closed, which sends nothing more", () => {
    const { session, calls, receive } = start(true, MiB);
    receive(70_000);
    receive(5);
    session.onClose(1000, "");
    expect(calls).toEqual(["message of 70000", "message of 5", "close", "terminate remote"]);
  });

  test("a message whose echo would exceed maxBuffered waits until there is room: the peer is no slow consumer yet", () => {
    const { session, transport, calls, receive } = start(false, MiB);
    receive(MiB - 10);
    receive(5);
    receive(100_000);
    expect(calls).toEqual([`message of ${MiB - 10}`, "message of 5"]);
    transport.buffered = MiB / 2;
    session.onDrain();
    expect(calls.slice(2)).toEqual(["message of 100000"]);
    expect(transport.paused).toBe(true);
    transport.buffered = 0;
    session.onDrain();
    expect(transport.paused).toBe(false);
  });
});
