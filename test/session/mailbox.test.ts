import { beforeEach, describe, expect, test } from "vitest";
import { ok } from "websock-js";
import { connect } from "websock-js/testing";
import type { DataMessage } from "../../src/message.ts";
import { EMPTY_MAILBOX, Mailbox } from "../../src/session/mailbox.ts";

const message = (data: string): DataMessage => ({ opcode: "text", data });

describe("Mailbox", () => {
  let mailbox: Mailbox;
  beforeEach(() => {
    mailbox = new Mailbox();
  });

  const arrive = (data: string, size = data.length): void => {
    mailbox.markArrival();
    mailbox.addMessage(message(data), size);
  };

  /** All that may be handled now, messages first where both may be. */
  const handleAll = (): unknown[] => {
    const handled: unknown[] = [];
    for (;;) {
      const next = mailbox.takeMessage();
      if (next !== undefined) handled.push(next.data);
      else if (mailbox.hasInfo) handled.push(mailbox.takeInfo());
      else return handled;
    }
  };

  test("is empty at first", () => {
    expect([mailbox.messages, mailbox.infos, mailbox.bytes]).toEqual([0, 0, 0]);
    expect(mailbox.takeMessage()).toBeUndefined();
    expect(mailbox.hasInfo).toBe(false);
    expect(mailbox.isCaughtUp).toBe(true);
  });

  test("gives messages in the order of their arrival, and counts them and their octets", () => {
    arrive("a", 10);
    arrive("b", 20);
    expect([mailbox.messages, mailbox.bytes]).toEqual([2, 30]);
    expect(mailbox.takeMessage()).toEqual(message("a"));
    expect([mailbox.messages, mailbox.bytes]).toEqual([1, 20]);
    expect(mailbox.takeMessage()).toEqual(message("b"));
    expect(mailbox.takeMessage()).toBeUndefined();
    expect([mailbox.messages, mailbox.bytes]).toEqual([0, 0]);
  });

  test("takes control messages like any others", () => {
    const ping = { opcode: "ping", data: new Uint8Array(2) } as const;
    mailbox.markArrival();
    mailbox.addMessage(ping, 2);
    expect(mailbox.takeMessage()).toBe(ping);
  });

  test("keeps infos back until a turn of the event loop has passed", () => {
    mailbox.addInfo(1);
    mailbox.addInfo(2);
    expect([mailbox.infos, mailbox.hasInfo]).toEqual([2, false]);
    mailbox.releaseInfos();
    mailbox.addInfo(3);
    expect(handleAll()).toEqual([1, 2]);
    expect([mailbox.infos, mailbox.hasInfo]).toEqual([1, false]);
    mailbox.releaseInfos();
    expect(handleAll()).toEqual([3]);
  });

  test("gives undefined as an info like any other", () => {
    mailbox.addInfo(undefined);
    mailbox.addInfo(null);
    mailbox.releaseInfos();
    expect(handleAll()).toEqual([undefined, null]);
    expect(mailbox.infos).toBe(0);
  });

  test("an info that was sent before something arrived is handled before it", () => {
    mailbox.addInfo("info");
    arrive("message");
    expect(mailbox.takeMessage()).toBeUndefined();
    expect(mailbox.isCaughtUp).toBe(false);
    mailbox.releaseInfos();
    expect(handleAll()).toEqual(["info", "message"]);
    expect(mailbox.isCaughtUp).toBe(true);
  });

  test("an info that was sent after something arrived is handled after it", () => {
    arrive("message");
    mailbox.addInfo("info");
    mailbox.releaseInfos();
    expect(handleAll()).toEqual(["message", "info"]);
  });

  test("what one chunk brought came in one moment, whatever its messages cause to be sent", () => {
    mailbox.markArrival();
    mailbox.addMessage(message("a"), 1);
    mailbox.addInfo("sent by a's handler");
    mailbox.addMessage(message("b"), 1);
    mailbox.releaseInfos();
    expect(handleAll()).toEqual(["a", "b", "sent by a's handler"]);
  });

  test("isNext tells what may be handled without waiting in it", () => {
    mailbox.addInfo("info");
    mailbox.markArrival();
    expect(mailbox.isCaughtUp).toBe(false);
    mailbox.releaseInfos();
    expect(mailbox.isCaughtUp).toBe(false);
    mailbox.takeInfo();
    expect(mailbox.isCaughtUp).toBe(true);
    // Sent in the same moment: after.
    mailbox.addInfo("later");
    expect(mailbox.isCaughtUp).toBe(true);
    mailbox.markArrival();
    expect(mailbox.isCaughtUp).toBe(false);
  });

  test("drops everything when it is cleared, and works on", () => {
    mailbox.addInfo("x");
    arrive("x");
    mailbox.releaseInfos();
    mailbox.clear();
    expect([mailbox.messages, mailbox.infos, mailbox.bytes, mailbox.hasInfo]).toEqual([0, 0, 0, false]);
    expect(mailbox.isCaughtUp).toBe(true);
    mailbox.addInfo("info");
    arrive("message");
    mailbox.releaseInfos();
    expect(handleAll()).toEqual(["info", "message"]);
  });

  test("stays in order, and lets go of what was handled, over many more than wait at once", () => {
    let next = 0;
    for (let i = 0; i < 10_000; i++) {
      arrive(`${i}`);
      if (i % 3 !== 0) expect(mailbox.takeMessage()).toEqual(message(`${next++}`));
    }
    const { waiting } = mailbox as unknown as { waiting: { items: unknown[]; length: number } };
    expect(waiting.length).toBe(10_000 - next);
    expect(waiting.items.length).toBeLessThanOrEqual(2 * waiting.length + 1024);
    while (next < 10_000) expect(mailbox.takeMessage()).toEqual(message(`${next++}`));
    // An idle connection keeps no list at all.
    expect(waiting.items.length).toBe(0);
  });
});

describe("the mailbox that all connections share which have none of their own", () => {
  test("stays empty, whatever waits for any of them", async () => {
    const seen: unknown[] = [];
    const handler = {
      init: () => ok(undefined),
      handleIn: ({ data }: DataMessage) => {
        seen.push(data);
        return data === "wait" ? new Promise<never>(() => {}) : ok(undefined);
      },
      handleInfo: (_info: string) => ok(undefined),
    };
    const busy = await connect(handler);
    const other = await connect(handler);
    busy.send("wait");
    busy.send("waits");
    busy.info("waits too");
    other.send("at once");
    expect(seen).toEqual(["wait", "at once"]);
    expect([EMPTY_MAILBOX.messages, EMPTY_MAILBOX.infos, EMPTY_MAILBOX.hasInfo]).toEqual([0, 0, false]);
    expect(EMPTY_MAILBOX.isCaughtUp).toBe(true);
  });
});
