/** Tests of large messages sent in fragments with different high-water marks of the socket. */

import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { expect, test, vi } from "vitest";
import { binary, ok, type Self } from "websock-js";
import { WebSocket } from "ws";
import { Host } from "../../../src/adapters/shared/host.ts";
import { nodeByteOps } from "../../../src/adapters/shared/node-byte-ops.ts";
import { capabilities } from "../../../src/adapters/ws/capabilities.ts";
import { WsTransport } from "../../../src/adapters/ws/transport.ts";
import { resolveOptions } from "../../../src/options.ts";
import { callbacksOf } from "../../../src/session/handler.ts";
import { FACTS } from "../../../src/testing/connect.ts";

/** A socket that flushes each write in a later tick. */
class SlowSocket extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, callback: () => void): void {
    setImmediate(callback);
  }
  setTimeout(): void {}
  setNoDelay(): void {}
}

type WithSocket = WebSocket & { setSocket(socket: Duplex, head: Buffer, options: object): void };

test.each([1_000, 40_000, 70_000])(
  "a last fragment of %i bytes: self.drained resolves, messages are handled",
  async (last) => {
    const stream = new SlowSocket({ highWaterMark: 65_536 });
    const webSocket = new (WebSocket as never as new (...args: unknown[]) => WithSocket)(null, undefined, {});
    webSocket.setSocket(stream, Buffer.alloc(0), { maxPayload: 1e8, allowSynchronousEvents: true });
    const options = resolveOptions(undefined);
    const host = new Host(capabilities, nodeByteOps, undefined);
    const transport = new WsTransport(webSocket as never, stream as never as Socket, options, () => undefined);
    const handled: unknown[] = [];
    let self!: Self<never>;
    const handler = {
      init: (_: undefined, own: Self<never>) => {
        self = own;
        return ok(0);
      },
      handleIn: (message: { readonly data: unknown }) => {
        handled.push(message.data);
        return ok(0);
      },
    };
    const session = host.newSession(callbacksOf(handler), transport, { ...FACTS }, options, undefined);
    transport.open(session);
    session.start(undefined);
    self.push(binary(new Uint8Array(2 * 262_144 + last)));
    expect(await self.drained()).toBe(true);
    session.onActivity();
    session.onText("hello", 5);
    await vi.waitUntil(() => handled.length > 0);
    expect(handled).toEqual(["hello"]);
  },
);
