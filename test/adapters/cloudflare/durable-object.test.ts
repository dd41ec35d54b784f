/** Tests of a Durable Object on a fake platform, for situations that can't be caused in the real runtime. */
import { expect, test } from "vitest";
import { type DataMessage, type HandleResult, ok, push } from "websock-js";
import type { CloudflareSocket, DurableObjectContext } from "../../../src/adapters/cloudflare/types.ts";
import { attach } from "../../../src/adapters/cloudflare.ts";

const Chat = {
  init: (): HandleResult<number> => ok(0),
  handleIn: (message: DataMessage, count: number): HandleResult<number> => push(message, count + 1),
};

class Socket implements CloudflareSocket {
  readyState = 1;
  readonly did: unknown[] = [];
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
    this.attachment = attachment;
  }
  deserializeAttachment(): unknown {
    return structuredClone(this.attachment);
  }
}

test("a connection whose handler no longer exists is closed, and the others are not affected", async () => {
  const [ada, ben, orphan] = [new Socket("chat", "ada"), new Socket("chat", "ben"), new Socket("gone", "orphan")];
  const ctx: DurableObjectContext = {
    getWebSockets: () => [ada, orphan, ben],
    acceptWebSocket: () => undefined,
    waitUntil: () => undefined,
  };
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
