/** When a transport may wait for further answers before it writes: see `TransportEvents.awaitsAnswers`. */
import { describe, expect, test } from "vitest";
import { type DataMessage, type HandleResult, ok, push } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import type { ConnectionFacts } from "../../src/session/self.ts";
import { Session } from "../../src/session/session.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";
import type { Transport } from "../../src/transport.ts";
import { nextTick } from "../support/promises.ts";

/** An echo whose answers wait until `answer` is called, on a transport that writes nothing by itself. */
const start = () => {
  const clock = new ManualClock();
  const transport = {
    open: () => undefined,
    buffered: 0,
    bytesFlushed: 0,
    send: (_opcode: string, _data: unknown, size: number) => void (transport.buffered += size),
    pause: () => undefined,
    resume: () => undefined,
  };
  let finish: (() => void) | undefined;
  const echo = {
    init: () => ok(0),
    handleIn: (message: DataMessage, count: number) =>
      new Promise<HandleResult<number>>((resolve) => {
        finish = () => resolve(push(message, count + 1));
      }),
  };
  const session = new Session(callbacksOf(echo), transport as unknown as Transport, {} as ConnectionFacts, {
    capabilities,
    options: resolveOptions({}),
    clock,
    byteOps: portableByteOps,
    onError: (error) => {
      throw error;
    },
  });
  session.start(undefined);
  return {
    clock,
    receive: (count: number): void => {
      for (let i = 0; i < count; i++) session.onText("ten bytes.", 10);
    },
    answer: async (): Promise<void> => {
      finish!();
      await nextTick();
    },
    /** What a scheduled flush asks. */
    awaits: (): boolean => session.awaitsAnswers(transport.buffered),
  };
};

describe("awaitsAnswers", () => {
  test("is true while messages are queued behind a pending promise, if an answer was added since the last question", async () => {
    const { receive, answer, awaits } = start();
    receive(5);
    expect(awaits()).toBe(false); // nothing to write
    await answer();
    expect(awaits()).toBe(true);
    await answer();
    expect(awaits()).toBe(true);
    expect(awaits()).toBe(false);
    await answer();
    expect(awaits()).toBe(true);
  });

  test("is false when no message is queued", async () => {
    const { receive, answer, awaits } = start();
    receive(2);
    await answer();
    expect(awaits()).toBe(false);
    await answer();
    expect(awaits()).toBe(false);
  });

  test("is false after two milliseconds, although answers are added", async () => {
    const { clock, receive, answer, awaits } = start();
    receive(9);
    const asked: boolean[] = [];
    for (let i = 0; i < 6; i++) {
      await answer();
      asked.push(awaits());
      clock.advance(1);
    }
    expect(asked).toEqual([true, true, false, true, true, false]);
  });

  test("is false after two milliseconds, although the mailbox is empty in between", async () => {
    const { clock, receive, answer, awaits } = start();
    receive(1);
    const asked: boolean[] = [];
    for (let i = 0; i < 6; i++) {
      receive(1);
      await answer();
      receive(1);
      asked.push(awaits());
      await answer();
      clock.advance(1);
    }
    expect(asked).toEqual([true, true, false, true, true, false]);
  });
});
