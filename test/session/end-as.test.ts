/** `Session.endAs`: the connection has been ended by the session of another thread. */
import { describe, expect, test } from "vitest";
import { type CloseReason, ok } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities, MemoryTransport } from "../../src/testing/memory-transport.ts";
import { deferred, nextTick } from "../support/promises.ts";

const start = (handleIn: () => unknown = () => ok("state"), init: () => unknown = () => ok("state")) => {
  const seen: unknown[] = [];
  const transport = new MemoryTransport({
    onMessage: () => undefined,
    onClose: ({ code }) => void seen.push(["close", code]),
    onAbort: () => void seen.push("abort"),
    onResume: () => undefined,
  });
  const clock = new ManualClock();
  const terminate = (reason: CloseReason) => void seen.push(["terminate", reason]);
  const session = new Session(
    callbacksOf({ init, handleIn, terminate }),
    transport,
    { ...FACTS },
    {
      capabilities,
      options: resolveOptions({ closeTimeout: 1_000 }),
      clock,
      byteOps: portableByteOps,
      onError: (error) => void seen.push(["error", (error as Error).message]),
      onEnd: () => void seen.push("released"),
    },
  );
  session.start(undefined);
  return { session, seen, clock };
};

describe("endAs", () => {
  test("calls terminate with the reason, sends nothing, and releases the session", () => {
    const { session, seen } = start();
    session.endAs("timeout", false);
    expect(seen).toEqual([["terminate", "timeout"], "released"]);
    expect(session.self.send("late")).toBe(false);
    session.onText("late", 4);
    session.endAs("shutdown", false);
    expect(seen).toEqual([["terminate", "timeout"], "released"]);
  });

  test("waits for a pending callback, at most for closeTimeout", async () => {
    const { promise, resolve } = deferred<unknown>();
    const waiting = start(() => promise);
    const abandoned = start(() => new Promise(() => undefined));
    for (const { session, seen } of [waiting, abandoned]) {
      session.onText("a", 1);
      session.endAs("shutdown", false);
      expect(seen).toEqual([]);
    }
    resolve(ok("state"));
    await nextTick();
    expect(waiting.seen).toEqual([["terminate", "shutdown"], "released"]);
    abandoned.clock.advance(1_000);
    expect(abandoned.seen).toEqual([["error", expect.any(String)], ["terminate", "shutdown"], "released"]);
  });

  test("with abandon, it does not wait, and reports nothing", () => {
    const { session, seen } = start(() => new Promise(() => undefined));
    session.onText("a", 1);
    session.endAs("remote", true);
    expect(seen).toEqual([["terminate", "remote"], "released"]);
  });

  test("an init that is abandoned is not followed by terminate", async () => {
    const { promise, resolve } = deferred<unknown>();
    const { session, seen } = start(undefined, () => promise);
    session.endAs("remote", true);
    resolve(ok("state"));
    await nextTick();
    expect(seen).toEqual(["released"]);
  });
});
