/** Peers that send nothing more. Only timeouts reveal that they are gone. */
import { expect } from "vitest";
import { frame, PING, PONG, TEXT } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import { isHealthy } from "../field.ts";

export const silenceAttacks: readonly Attack[] = [
  {
    name: "200 half-open peers, and one that is alive",
    answer:
      "a ping after `heartbeat`, 1001 after `timeout`, aborted after `closeTimeout`; the peer that answers the ping stays",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 201, timeout: 200, ConnectionLost: 1 },
    run: async (field) => {
      const silent = await field.many(200, () => field.connect("echo"));
      const alive = await field.connect("echo");
      await field.advance(30_000);
      for (const client of silent) expect((await client.frame()).opcode).toBe(PING);
      alive.send(frame(PONG, (await alive.frame()).payload));
      await isHealthy(alive);
      await field.advance(30_000);
      for (const client of silent) expect(await client.closeCode()).toBe(1001);
      await field.advance(5_000);
      await Promise.all(silent.map((client) => client.ended));
      await Promise.all(silent.map((client) => client.reset()));
      // The client was pinged again in the meantime.
      expect((await alive.frame()).opcode).toBe(PING);
      await isHealthy(alive);
    },
  },
  {
    name: "200 peers that never answer the server's close frame",
    answer: "`terminate` runs immediately, the connection is aborted after `closeTimeout`",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 200, normal: 200 },
    run: async (field) => {
      const clients = await field.many(200, () => field.connect("stopping"));
      for (const client of clients) {
        expect(await client.send(frame(TEXT, "stop")).closeCode()).toBe(4000);
      }
      await field.reaches("normal", 200);
      await field.advance(5_000);
      await field.reaches("socket closed", 200);
      await Promise.all(clients.map((client) => client.ended));
    },
  },
];
