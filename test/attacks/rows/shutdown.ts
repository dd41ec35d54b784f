/** Peers that do not let the server go, or come when it does. */
import { expect } from "vitest";
import { handshake } from "../../support/raw-client.ts";
import type { Attack } from "../attack.ts";

export const shutdownAttacks: readonly Attack[] = [
  {
    name: "100 upgrades during the shutdown: pending ones, new ones, and peers that do not answer our close",
    answer: "503 and a closed connection for who is not in yet; 1001 for who is, cut off after `closeTimeout`",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: { init: 50, shutdown: 50, "shut down": 1, "server closed": 1 },
    requests: { "GET /ws/echo": 50, "GET /gate/ws/echo": 50 },
    endsServer: true,
    onlyOver: "HTTP/1.1",
    run: async (field) => {
      const open = await field.many(50, () => field.connect("echo"));
      const pending = await field.many(50, async () =>
        (await field.dial()).send(handshake({}, "GET /gate/ws/echo HTTP/1.1")),
      );
      await field.reaches("GET /gate/ws/echo", 50);
      await field.shutDown();
      for (const client of open) expect(await client.closeCode()).toBe(1001);
      await field.openGate();
      const late = await field.many(50, async () => (await field.dial()).send(handshake({}, "GET /ws/echo HTTP/1.1")));
      for (const client of [...pending, ...late]) {
        expect((await client.answer()).status).toBe(503);
        expect(await client.ended).toBe("end");
        client.end();
      }
      await field.advance(5_000);
      await field.reaches("server closed", 1);
    },
  },
];
