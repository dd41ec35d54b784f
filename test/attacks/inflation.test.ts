/** Tests the inflation bombs themselves, against a server that we did not write. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { BINARY, frame } from "../support/raw-frames.ts";
import { type Client, MiB } from "./field.ts";
import { http1 } from "./http1.ts";
import { bomb, fragmented, manySmall, OFFER, RSV1, SMALL_BOMBS, single } from "./rows/inflation.ts";

/** A compressed connection to `ws`, and the sizes of the messages that `ws` receives; -1 if not all bytes are zero. */
const connectToWs = async (maxPayload: number): Promise<{ client: Client; zeros: number[] }> => {
  const zeros: number[] = [];
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true, maxPayload });
  server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data: Buffer) => zeros.push(data.equals(Buffer.alloc(data.length)) ? data.length : -1));
  });
  await once(server, "listening");
  const { client, answer } = await http1.enter((server.address() as AddressInfo).port).knock("/", OFFER);
  expect(await answer()).toBe("open");
  onTestFinished(async () => {
    client.socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { client, zeros };
};

test("a bomb is about a thousandth of the size of its message", async () => {
  const { client, zeros } = await connectToWs(0);
  const bytes = bomb(64);
  expect(bytes.length).toBeLessThan(64 * 1100);
  client.send(frame(BINARY, bytes, { rsv: RSV1 }), frame(BINARY, bytes, { rsv: RSV1 }));
  // The server answers the close frame when it has read both messages.
  client.send(frame(8));
  expect(await client.closeCode()).toBe(1005);
  expect(zeros).toEqual([64 * MiB, 64 * MiB]);
});

test.each([
  ["single", single],
  ["fragmented", fragmented],
])("ws ends the %s bomb with 1009", async (_name, send) => {
  const { client, zeros } = await connectToWs(10_000_000);
  send(client);
  expect(await client.closeCode()).toBe(1009);
  expect(zeros).toEqual([]);
});

test("ws accepts the small bombs: each is a valid message below its limit", async () => {
  const { client, zeros } = await connectToWs(10_000_000);
  manySmall(client);
  expect(await client.closeCode()).toBe(1000);
  expect(zeros).toEqual(Array<number>(SMALL_BOMBS).fill(9 * MiB));
});
