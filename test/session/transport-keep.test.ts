import { describe, expect, test } from "vitest";
import { type CloseReason, push, stop, text } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities, MemoryTransport } from "../../src/testing/memory-transport.ts";

/** A host that keeps states, in the order of what else it is asked. */
const keeping = (refuses: (state: unknown) => boolean = () => false) => {
  const seen: unknown[] = [];
  class KeepingTransport extends MemoryTransport {
    keep(state: unknown): void {
      if (refuses(state)) throw new TypeError("it can't be kept");
      seen.push(["keep", state]);
    }
  }
  const transport = new KeepingTransport({
    onMessage: ({ data }) => void seen.push(["send", data]),
    onClose: ({ code }) => void seen.push(["close", code]),
    onAbort: () => undefined,
    onResume: () => undefined,
  });
  const errors: unknown[] = [];
  const reasons: CloseReason[] = [];
  const handler = {
    init: () => push(text("hi"), 0),
    handleIn: ({ data }: { data: unknown }, count: number) =>
      data === "stop" ? stop("normal", count + 1) : push(text(String(count)), count + 1),
    terminate: (reason: CloseReason, count: number) => void reasons.push(reason, count as never),
  };
  const session = new Session(
    callbacksOf(handler),
    transport,
    { ...FACTS },
    {
      capabilities,
      options: resolveOptions(undefined),
      clock: new ManualClock(),
      byteOps: portableByteOps,
      onError: (error) => errors.push(error),
    },
  );
  const receive = (data: string): void => session.onText(data, data.length);
  return { session, seen, errors, reasons, receive };
};

describe("a host that keeps states", () => {
  test("gets each before what goes with it is sent, and none once the handler has stopped for good", () => {
    const { session, seen, reasons, receive } = keeping();
    session.start(undefined);
    receive("a");
    receive("stop");
    expect(seen).toEqual([
      ["keep", 0],
      ["send", "hi"],
      ["keep", 1],
      ["send", "0"],
      ["keep", 2],
      ["close", 1000],
    ]);
    expect(reasons).toEqual(["normal", 2]);
  });

  test("may refuse one: nothing of the result is sent, the client gets 1011, terminate the state", () => {
    const { session, seen, errors, reasons, receive } = keeping((state) => state === 1);
    session.start(undefined);
    receive("a");
    expect(seen.slice(2)).toEqual([["close", 1011]]);
    const error = new TypeError("it can't be kept");
    expect(errors).toEqual([error]);
    expect(reasons).toEqual([{ error }, 1]);
  });

  test("goes on with one, without init, and ends like any other", () => {
    const { session, seen, reasons, receive } = keeping();
    session.resume(41);
    receive("a");
    expect(seen).toEqual([
      ["keep", 42],
      ["send", "41"],
    ]);
    session.onClose(1000, "");
    session.onDisconnect();
    expect(reasons).toEqual(["remote", 42]);
  });
});
