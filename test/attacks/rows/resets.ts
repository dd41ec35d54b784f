/** Peers that reset their connections at the worst moment. */
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { BINARY, CONTINUATION, frame, TEXT } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import type { Client } from "../field.ts";

/** 200 clients send these bytes and reset their connections, which end with `ConnectionLost`. */
const midway = (name: string, bytes: Uint8Array): Attack => ({
  name: `200 resets ${name}`,
  answer: "`terminate` gets `ConnectionLost`; the incomplete data is dropped",
  bounds: { peakMiB: 48, cpuMs: 2000 },
  happens: { init: 200, ConnectionLost: 200 },
  run: async (field) => {
    await field.many(200, async () => {
      const client = await field.connect("echo");
      // The echo of the message before them shows that the bytes have arrived too, or are about to.
      expect(await client.send(frame(TEXT, "before"), bytes).text()).toBe("before");
      await client.reset();
    });
    await field.reaches("ConnectionLost", 200);
  },
});

const resetAll = (clients: readonly Client[]): Promise<unknown> => Promise.all(clients.map((client) => client.reset()));

export const resetAttacks: readonly Attack[] = [
  {
    name: "200 resets during an async upgrade",
    answer: "`upgrade` returns, `init` never runs",
    bounds: { peakMiB: 32, cpuMs: 1500 },
    happens: {},
    requests: { "GET /gate/ws/echo": 200 },
    run: async (field) => {
      const early = frame(TEXT, "early");
      const clients = await field.many(200, async () => (await field.knock("/gate/ws/echo", {}, early)).client);
      await field.reaches("GET /gate/ws/echo", 200);
      await resetAll(clients);
      await field.reaches("socket closed", 200);
      await field.openGate();
    },
  },
  {
    name: "200 resets during `init`",
    answer: "waits for `init`, then `terminate` gets `ConnectionLost`",
    bounds: { peakMiB: 32, cpuMs: 1500 },
    happens: { init: 200, ConnectionLost: 200 },
    run: async (field) => {
      const clients = await field.many(200, () => field.connect("init-waits"));
      for (const client of clients) client.send(frame(BINARY, Buffer.alloc(1000)));
      await turn();
      await resetAll(clients);
      await field.reaches("socket closed", 200);
      await field.openGate();
      await field.reaches("ConnectionLost", 200);
    },
  },
  midway("in the middle of a frame", frame(BINARY, Buffer.alloc(65_536), { length: 1_000_000 })),
  midway(
    "in the middle of a message",
    Buffer.concat([
      frame(BINARY, Buffer.alloc(40_000), { fin: false }),
      frame(CONTINUATION, Buffer.alloc(20_000), { fin: false }),
    ]),
  ),
  {
    name: "200 resets during the server's close",
    answer: "the reason stays the one that was decided first; nothing waits for `closeTimeout`",
    bounds: { peakMiB: 32, cpuMs: 1500 },
    happens: { init: 200, normal: 200 },
    run: async (field) => {
      const clients = await field.many(200, () => field.connect("stopping"));
      await Promise.all(
        clients.map(async (client) => expect(await client.send(frame(TEXT, "stop")).closeCode()).toBe(4000)),
      );
      await resetAll(clients);
    },
  },
  {
    name: "1 000 connections dropped simultaneously",
    answer: "each connection ends by itself, and its memory is freed",
    bounds: { peakMiB: 48, cpuMs: 3000 },
    happens: { init: 1000, ConnectionLost: 1000 },
    run: async (field) => {
      const clients = await field.many(1000, () => field.connect("echo"));
      await Promise.all(clients.map((client) => client.send(frame(TEXT, "here")).text()));
      await field.weigh();
      await resetAll(clients);
      await field.reaches("ConnectionLost", 1000);
    },
  },
];
