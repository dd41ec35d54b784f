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

  /** Handles everything that is due, messages before infos. */
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

  test("can be replaced by the empty one as soon as everything that was added is handled", () => {
    expect(mailbox.isUnused).toBe(true);
    arrive("a");
    mailbox.addInfo("info");
    expect(mailbox.isUnused).toBe(false);
    mailbox.takeMessage();
    expect(mailbox.isUnused).toBe(false);
    mailbox.releaseScheduled = true;
    mailbox.releaseInfos();
    expect(mailbox.isUnused).toBe(false);
    mailbox.takeInfo();
    expect(mailbox.isUnused).toBe(true);
    mailbox.releaseScheduled = true;
    expect(mailbox.isUnused).toBe(false);
  });

  test("returns messages in order of arrival, and counts them and their bytes", () => {
    arrive("a", 10);
    arrive("b", 20);
    expect([mailbox.messages, mailbox.bytes]).toEqual([2, 30]);
    expect(mailbox.takeMessage()).toEqual(message("a"));
    expect([mailbox.messages, mailbox.bytes]).toEqual([1, 20]);
    expect(mailbox.takeMessage()).toEqual(message("b"));
    expect(mailbox.takeMessage()).toBeUndefined();
    expect([mailbox.messages, mailbox.bytes]).toEqual([0, 0]);
  });

  test("treats control messages like other messages", () => {
    const ping = { opcode: "ping", data: new Uint8Array(2) } as const;
    mailbox.markArrival();
    mailbox.addMessage(ping, 2);
    expect(mailbox.takeMessage()).toBe(ping);
  });

  test("holds infos back until a later event-loop tick", () => {
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

  test("accepts undefined as an info", () => {
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

  test("all messages of a chunk arrive at the same moment, even if the first ones cause infos to be sent", () => {
    mailbox.markArrival();
    mailbox.addMessage(message("a"), 1);
    mailbox.addInfo("sent by a's handler");
    mailbox.addMessage(message("b"), 1);
    mailbox.releaseInfos();
    expect(handleAll()).toEqual(["a", "b", "sent by a's handler"]);
  });

  test("isCaughtUp says whether a message can be handled without being queued", () => {
    mailbox.addInfo("info");
    mailbox.markArrival();
    expect(mailbox.isCaughtUp).toBe(false);
    mailbox.releaseInfos();
    expect(mailbox.isCaughtUp).toBe(false);
    mailbox.takeInfo();
    expect(mailbox.isCaughtUp).toBe(true);
    // An info that is sent during the same arrival comes after it.
    mailbox.addInfo("later");
    expect(mailbox.isCaughtUp).toBe(true);
    mailbox.markArrival();
    expect(mailbox.isCaughtUp).toBe(false);
  });

  test("drops everything when it is cleared, and can be used again", () => {
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

  test("keeps the order over many messages, and releases the memory of those that were handled", () => {
    let next = 0;
    for (let i = 0; i < 10_000; i++) {
      arrive(`${i}`);
      if (i % 3 !== 0) expect(mailbox.takeMessage()).toEqual(message(`${next++}`));
    }
    const { messageQueue } = mailbox as unknown as { messageQueue: { items: unknown[]; length: number } };
    expect(messageQueue.length).toBe(10_000 - next);
    expect(messageQueue.items.length).toBeLessThanOrEqual(2 * messageQueue.length + 1024);
    while (next < 10_000) expect(mailbox.takeMessage()).toEqual(message(`${next++}`));
    // An empty queue keeps no list.
    expect(messageQueue.items.length).toBe(0);
  });
});

describe("the shared empty mailbox", () => {
  test("stays empty, whatever is queued for any connection", async () => {
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
