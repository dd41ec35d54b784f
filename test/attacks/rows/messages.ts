/** Messages that are too large, have too many fragments, or never end. */
import { expect } from "vitest";
import { BINARY, CONTINUATION, closeFrame, frame, PING, TEXT } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import { type Client, flood, MiB, times } from "../field.ts";

const MILLION = 1_000_000;

const first = (opcode: number, payload = ""): Buffer => frame(opcode, payload, { fin: false });
const more = (count: number, payload = ""): Buffer => times(count, frame(CONTINUATION, payload, { fin: false }));

/** Sends up to two million fragments, until the server closes with 1008. */
const fragmentsWithoutEnd = async (client: Client, payload: string): Promise<void> => {
  const chunk = more(10_000, payload);
  const closed = client.closeCode();
  await flood(client.send(first(BINARY, payload)), chunk, 2 * (chunk.length / 10_000) * MILLION, closed);
  expect(await closed).toBe(1008);
  await client.reset();
};

export const messageAttacks: readonly Attack[] = [
  {
    name: "200 messages that never end: 10 MB announced, 1 KB sent",
    answer: "allocates at most 1 MiB before the bytes arrive, and closes with 1001 after `timeout`",
    bounds: { peakMiB: 24, heldMiB: 212, cpuMs: 2000 },
    happens: { init: 200, timeout: 200 },
    run: async (field) => {
      const begun = frame(BINARY, Buffer.alloc(1000), { length: 10_000_000 });
      const clients = await field.many(200, async () => {
        const client = await field.connect("echo");
        expect(await client.send(frame(TEXT, "before"), begun).text()).toBe("before");
        return client;
      });
      await field.weigh();
      await field.advance(60_000);
      for (const client of clients) {
        expect((await client.frame()).opcode).toBe(PING);
        expect(await client.closeCode()).toBe(1001);
      }
      await field.advance(5_000);
      await Promise.all(clients.map((client) => client.ended));
    },
  },
  {
    name: "a message of 256 MiB, in one frame and in fragments of 64 KiB",
    answer: "1009 at `maxMessageSize` (10 MB): from the header alone, or at the fragment that would exceed it",
    bounds: { peakMiB: 80, cpuMs: 4000 },
    happens: { init: 2, ProtocolError: 2 },
    run: async (field) => {
      const whole = await field.connect("echo");
      whole.send(frame(BINARY, Buffer.alloc(100), { length: 256 * MiB }));
      expect(await whole.closeCode()).toBe(1009);
      const pieces = await field.connect("echo");
      const closed = pieces.closeCode();
      await flood(pieces.send(first(BINARY)), more(1, "x".repeat(65_536)), 256 * MiB, closed);
      expect(await closed).toBe(1009);
      for (const client of [whole, pieces]) await client.reset();
    },
  },
  {
    name: "a million fragments of one byte, where `maxFragments` allows it",
    answer: "collects them in one buffer: one message of 1 MB",
    bounds: { peakMiB: 32, cpuMs: 4000 },
    happens: { init: 1, remote: 1 },
    run: async (field) => {
      const client = await field.connect("echo", { maxFragments: 2 * MILLION });
      const chunk = more(10_000, "x");
      await flood(client.send(first(TEXT)), chunk, 100 * chunk.length);
      expect((await client.send(frame(CONTINUATION)).text()).length).toBe(MILLION);
      expect(await client.send(closeFrame(1000)).closeCode()).toBe(1000);
      await client.reset();
    },
  },
  {
    name: "a fragment of 5 MB, followed by 200 000 of one byte",
    answer: "doubles the buffer as needed: the data is not copied again for each fragment",
    bounds: { peakMiB: 64, cpuMs: 3000 },
    happens: { init: 1, remote: 1 },
    run: async (field) => {
      const client = await field.connect("sink");
      client.send(frame(BINARY, Buffer.alloc(5_000_000), { fin: false }));
      const chunk = more(1000, "x");
      await flood(client, chunk, 200 * chunk.length);
      expect(await client.send(frame(CONTINUATION), closeFrame(1000)).closeCode()).toBe(1000);
      await client.reset();
    },
  },
  {
    name: "two million fragments of one byte",
    answer: "1008 at `maxFragments` (524 288)",
    bounds: { peakMiB: 32, cpuMs: 3000 },
    happens: { init: 1, ProtocolError: 1 },
    run: async (field) => fragmentsWithoutEnd(await field.connect("echo"), "x"),
  },
  {
    name: "two million empty fragments",
    answer: "1008 at `maxFragments`: empty fragments count",
    bounds: { peakMiB: 24, cpuMs: 3000 },
    happens: { init: 1, ProtocolError: 1 },
    run: async (field) => fragmentsWithoutEnd(await field.connect("echo"), ""),
  },
];
