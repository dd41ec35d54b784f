/** Peers that delay the server's shutdown, or connect during it. */
import { expect } from "vitest";
import type { Attack } from "../attack.ts";

export const shutdownAttacks: readonly Attack[] = [
  {
    name: "100 upgrades during a shutdown: pending ones, new ones, and peers that do not answer the close frame",
    answer:
      "503 and a closed connection for pending and new upgrades; 1001 for open connections, aborted after `closeTimeout`",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 50, shutdown: 50, "shut down": 1, "server closed": 1 },
    requests: { "GET /ws/echo": 50, "GET /gate/ws/echo": 50 },
    endsServer: true,
    run: async (field) => {
      const open = await field.many(50, () => field.connect("echo"));
      const pending = await field.many(50, () => field.knock("/gate/ws/echo"));
      await field.reaches("GET /gate/ws/echo", 50);
      await field.shutDown();
      for (const client of open) expect(await client.closeCode()).toBe(1001);
      await field.openGate();
      const late = await field.many(50, () => field.knock("/ws/echo"));
      for (const { client, answer } of [...pending, ...late]) {
        expect(await answer()).toBe(503);
        expect(await client.ended).toBe("end");
        client.end();
      }
      await field.advance(5_000);
      await field.reaches("shut down", 1);
      // The library does not close an HTTP/2 connection that has carried no WebSocket.
      if (field.over === "HTTP/2") field.leave();
      await field.reaches("server closed", 1);
    },
  },
];
