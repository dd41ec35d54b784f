/** Peers that send too much, or do not read what they are sent. */
import { expect } from "vitest";
import { BINARY, closeFrame, frame, PING, TEXT } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import { type Client, type Field, flood, MiB, times } from "../field.ts";

/** Sends without reading until the server stops reading, and advances the clock until the server closes and aborts. */
const floodUnread = async (field: Field, client: Client, chunk: Uint8Array): Promise<void> => {
  client.socket.pause();
  const flooding = flood(client, chunk, 128 * MiB);
  await field.heldBack(flooding);
  await field.advance(60_000);
  await field.reaches("SlowConsumer", 1);
  // The client neither reads nor answers the close frame.
  await field.advance(5_000);
  await field.reaches("socket closed", 1);
  client.socket.destroy();
  await flooding;
};

const unread = { init: 1, SlowConsumer: 1 } as const;

export const floodAttacks: readonly Attack[] = [
  {
    name: "128 MiB of pings from a peer that does not read",
    answer: "stops reading once 64 KiB of pongs are buffered; 1013 after `timeout` without progress",
    bounds: { peakMiB: 24, heldMiB: 2, cpuMs: 2500 },
    happens: unread,
    run: async (field) =>
      floodUnread(field, await field.connect("echo"), times(500, frame(PING, Buffer.alloc(125, "p")))),
  },
  {
    name: "128 MiB of messages to an echo from a peer that does not read",
    answer: "the same: the unread answers stop the reading, and the buffers stay small",
    bounds: { peakMiB: 32, heldMiB: 4, cpuMs: 2500 },
    happens: unread,
    run: async (field) => floodUnread(field, await field.connect("echo"), frame(BINARY, Buffer.alloc(60_000))),
  },
  {
    name: "512 MiB pushed to a peer that does not read",
    answer: "1013 once `maxBuffered` (16 MiB) is buffered, aborted after `closeTimeout`",
    bounds: { peakMiB: 48, heldMiB: 20, cpuMs: 2500 },
    happens: { init: 1, SlowConsumer: 1 },
    run: async (field) => {
      const client = await field.connect("fountain");
      client.socket.pause();
      await field.reaches("SlowConsumer", 1);
      await field.weigh();
      await field.advance(5_000);
      await field.reaches("socket closed", 1);
    },
  },
  {
    name: "64 MiB of messages to an async handler that takes an event-loop tick for each",
    answer: "runs one callback at a time; 64 KiB or 1 024 messages wait, the rest is left to TCP",
    bounds: { peakMiB: 32, cpuMs: 6000 },
    happens: { init: 1, handled: 65_536, remote: 1 },
    run: async (field) => {
      const client = await field.connect("slow");
      const message = frame(TEXT, "m".repeat(1024));
      await flood(client, times(1024, message), 65_536 * message.length);
      expect(await client.send(closeFrame(1000)).closeCode()).toBe(1000);
      expect(await client.ended).toBe("end");
      client.end();
    },
  },
  {
    name: "128 MiB of messages to a handler that never settles, and then a reset",
    answer:
      "stops reading; the heartbeat finds the reset (HTTP/2 reports it immediately), and the callback is abandoned after `closeTimeout`",
    bounds: { peakMiB: 24, heldMiB: 2, cpuMs: 1500 },
    happens: { init: 1, ConnectionLost: 1 },
    told: [
      'handleIn: Error: "handleIn" did not settle within "closeTimeout" and was abandoned (WEBSOCK_CALLBACK_ABANDONED)',
    ],
    run: async (field) => {
      const client = await field.connect("hangs");
      const flooding = flood(client, times(1024, frame(TEXT, "m".repeat(1024))), 128 * MiB);
      await field.heldBack(flooding);
      await client.reset();
      await flooding;
      await field.advance(30_000);
      await field.reaches("socket closed", 1);
      await field.advance(5_000);
      await field.reaches("ConnectionLost", 1);
    },
  },
  {
    name: "256 MiB of messages after the server's close frame",
    answer: "reads them only to find the client's close frame, and keeps none; aborted after `closeTimeout`",
    bounds: { peakMiB: 160, cpuMs: 4000 },
    happens: { init: 1, normal: 1 },
    run: async (field) => {
      const client = await field.connect("stopping");
      expect(await client.send(frame(TEXT, "stop")).closeCode()).toBe(4000);
      await flood(client, frame(BINARY, Buffer.alloc(100_000)), 256 * MiB);
      await field.advance(5_000);
      await client.ended;
      await client.reset();
    },
  },
];
