/** Tests of a Durable Object on a fake platform, for situations that can't be caused in the real runtime. */
import { describe, expect, test } from "vitest";
import { type DataMessage, type HandleResult, ok, push, type Self } from "websock-js";
import { type Address, PubSub } from "websock-js/pubsub";
import { connect, ManualClock } from "websock-js/testing";
import type { CloudflareSocket, DurableObjectContext } from "../../../src/adapters/cloudflare/types.ts";
import { attach } from "../../../src/adapters/cloudflare.ts";
import { nextTick } from "../../support/promises.ts";

const contextOf = (...sockets: readonly Socket[]): DurableObjectContext => ({
  id: { toString: () => "object" },
  getWebSockets: () => [...sockets],
  acceptWebSocket: () => undefined,
  waitUntil: () => undefined,
});

const Chat = {
  init: (): HandleResult<number> => ok(0),
  handleIn: (message: DataMessage, count: number): HandleResult<number> => push(message, count + 1),
};

class Socket implements CloudflareSocket {
  readyState = 1;
  readonly did: unknown[] = [];
  /** How often the attachment was read. */
  reads = 0;
  private attachment: unknown;

  constructor(handler: string, id: string) {
    const facts = { httpVersion: "1.1", method: "GET" };
    const limits = { maxMessageSize: 1000, closeTimeout: 5000 };
    this.attachment = { websock: 1, handler, id, facts, limits, over: false, state: 0 };
  }
  accept(): void {}
  addEventListener(): void {}
  send(data: unknown): void {
    this.did.push(data);
  }
  close(...detail: unknown[]): void {
    this.did.push(detail);
  }
  serializeAttachment(attachment: unknown): void {
    this.attachment = structuredClone(attachment);
  }
  deserializeAttachment(): { readonly topics?: unknown } {
    this.reads++;
    return structuredClone(this.attachment) as ReturnType<Socket["deserializeAttachment"]>;
  }
}

test("a connection whose handler no longer exists is closed, and the others are not affected", async () => {
  const [ada, ben, orphan] = [new Socket("chat", "ada"), new Socket("chat", "ben"), new Socket("gone", "orphan")];
  const ctx = contextOf(ada, orphan, ben);
  const object: { webSocketMessage?(socket: CloudflareSocket, data: string): unknown } = {};
  const errors: unknown[] = [];
  const sockets = attach(object, ctx, { chat: Chat }, { onError: (error) => errors.push(error) });
  await object.webSocketMessage!(orphan, "x");
  expect(orphan.did).toEqual([[1011]]);
  await object.webSocketMessage!(ada, "hi");
  expect(ada.did).toEqual(["hi"]);
  expect([...sockets].map(({ id }) => id)).toEqual(["ada", "ben"]);
  expect(sockets.get("ben")?.id).toBe("ben");
  expect(sockets.connections).toBe(2);
  void sockets.close();
  expect(ben.did).toEqual([[1001, ""]]);
  expect(errors.map(String)).toEqual([expect.stringContaining('no handler "gone"')]);
});

describe("topics", () => {
  const memberOf = (pubsub: PubSub) => {
    const errors: unknown[] = [];
    const handler = {
      ...Chat,
      handleIn: (_: DataMessage, count: number, self: Self): HandleResult<number> => {
        try {
          pubsub.topic("room").subscribe(self, { onGap: () => undefined as never });
        } catch (error) {
          errors.push(error);
        }
        return ok(count);
      },
    };
    return { handler, errors };
  };

  test("throw if attach() did not receive the PubSub, which could not be restored", async () => {
    const socket = new Socket("", "ada");
    const { handler, errors } = memberOf(new PubSub());
    const object: { webSocketMessage?(socket: CloudflareSocket, data: string): unknown } = {};
    attach(object, contextOf(socket), handler);
    await object.webSocketMessage!(socket, "x");
    expect(String(errors[0])).toMatch(/create a PubSub in a class field, and pass it to attach/);
  });

  test("refuse onGap, because a function is lost in hibernation", async () => {
    const socket = new Socket("", "ada");
    const pubsub = new PubSub();
    const { handler, errors } = memberOf(pubsub);
    const object: { webSocketMessage?(socket: CloudflareSocket, data: string): unknown } = {};
    attach(object, contextOf(socket), handler, { pubsub });
    await object.webSocketMessage!(socket, "x");
    expect(String(errors[0])).toMatch(/"onGap" is not possible in a Durable Object/);
    expect(pubsub.node).toBe("object");
  });

  test("keep their options, so that a slow member is treated as before", async () => {
    const sockets = [new Socket("", "drops"), new Socket("", "closes")] as const;
    /** Wakes up, with members whose `handleInfo` never settles. */
    const live = () => {
      const pubsub = new PubSub();
      const member = {
        ...Chat,
        handleIn: ({ data }: DataMessage, count: number, self: Self<string>): HandleResult<number> => {
          const [topic, options] = JSON.parse(String(data));
          pubsub.topic<string>(topic).subscribe(self, options);
          return ok(count);
        },
        handleInfo: () => new Promise<HandleResult<number>>(() => undefined),
      };
      const object: { webSocketMessage?(socket: CloudflareSocket, data: string): unknown } = {};
      const onError = () => undefined;
      attach(object, contextOf(...sockets), member, { pubsub, clock: new ManualClock(), onError });
      const subscribe = (socket: Socket, ...args: readonly unknown[]) =>
        object.webSocketMessage!(socket, JSON.stringify(args));
      return { pubsub, subscribe };
    };

    const first = live();
    const dropping = { slow: "drop", maxBuffered: 100 };
    await first.subscribe(sockets[0], "room", dropping);
    await first.subscribe(sockets[1], "room");
    await live().subscribe(sockets[0], "hall");
    expect(sockets[0].deserializeAttachment().topics).toEqual([
      ["room", dropping],
      ["hall", {}],
    ]);
    expect(sockets[1].deserializeAttachment().topics).toEqual([["room", {}]]);

    const { pubsub } = live();
    for (let i = 0; i < 70_000; i++) pubsub.topic<string>("room").broadcast("x");
    await nextTick();
    expect(sockets.map(({ did }) => did)).toEqual([[], [[1011, ""]]]);
    expect(pubsub.stats.dropped).toBe(70_000 - 65_536);
    expect([...pubsub.topic("room").members()].map(({ id }) => id)).toEqual(["drops"]);
    expect(sockets[1].deserializeAttachment().topics).toEqual([]);
  });

  test("addresses from before hibernation are found without reading every attachment again, until close", () => {
    const sockets = Array.from({ length: 50 }, (_, i) => new Socket("", `id ${i}`));
    const pubsub = new PubSub();
    attach({}, contextOf(...sockets), Chat, { pubsub, clock: new ManualClock(), onError: () => undefined });
    const send = (to: string): boolean => pubsub.send(to as Address<string>, "info");
    for (let i = 0; i < 50; i++) expect(send(`object:id ${i}`)).toBe(true);
    for (const forged of ["id 1", "object:", "object:id 50", "objects:id 1"]) expect(send(forged)).toBe(false);
    expect(sockets.map(({ reads }) => reads)).toEqual(sockets.map(() => 1));
    expect(pubsub.stop("object:id 1" as Address, "kicked")).toBe(true);
    expect(send("object:id 1")).toBe(false);
    void pubsub.close();
    expect(send("object:id 2")).toBe(false);
  });

  test("belong to one object", async () => {
    const pubsub = new PubSub();
    attach({}, contextOf(), Chat, { pubsub });
    expect(() => attach({}, contextOf(), Chat, { pubsub })).toThrow(
      /create one for each Durable Object, in a class field/,
    );
    const client = await connect({
      init: (_: undefined, self) => {
        pubsub.topic("room").subscribe(self);
        return ok(0);
      },
      handleIn: (_, count: number) => ok(count),
    });
    expect(String(client.errors[0])).toMatch(/belongs to a Durable Object, and the connection does not/);
  });
});
