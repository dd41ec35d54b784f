/** Tests of `websock-js/deno` in Deno, with and without `attach`. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { idleTimeoutOf } from "../../../src/adapters/deno/upgrade.ts";
import { testFetchHost } from "../../support/fetch-host.ts";
import { testAttached, testDrain } from "../../support/fetch-host-attached.ts";
import { commandFor, haveRuntime } from "../../support/runtimes.ts";

const program = "test/hosts/deno-app.mjs";

await describe("with attach", async () => {
  await testFetchHost({ runtime: "deno", program }, (knocker) => {
    testAttached(knocker);

    test("a pushed ping is dropped and reported", async () => {
      const socket = await knocker.open("/ping");
      socket.on("ping", () => expect.unreachable());
      socket.send("go");
      await knocker.events("reported a ping cannot be sent on deno and was dropped (WEBSOCK_NOT_SUPPORTED)");
      socket.close();
    });

    testDrain(knocker, /^$/);
  });
});

await describe("without", async () => {
  await testFetchHost({ runtime: "deno", program, args: ["bare"] }, (knocker) => {
    test("Hono: headers that middleware sets on the response are in the 101", async () => {
      const { status, headers, client } = await knocker.knock("/secured");
      expect([status, headers["x-content-type-options"]]).toEqual(["open", "nosniff"]);
      client.socket.destroy();
    });

    // Without `onError`, reports are printed.
    testDrain(knocker, /^(?!.*Uncaught)/);
  });
});

describe("when the server is stopped", () => {
  test.runIf(haveRuntime("deno"))(
    "handlers of that server get a shutdown and clients get 1001, however it is stopped",
    () => {
      const [file, ...args] = commandFor("deno", "test/hosts/deno-stop.mjs");
      expect(execFileSync(file, args, { encoding: "utf8" }).trim().split("\n")).toEqual([
        "shutdown: shutdown, client 1001",
        "shutdown, without attach: shutdown, client 1001",
        "the abort signal: shutdown, client 1001",
        "the abort signal, without attach: shutdown, client 1001",
        "asyncDispose, handler among the options: shutdown, client 1001",
        "asyncDispose, handler among the options, without attach: shutdown, client 1001",
        "one of two servers: shutdown, client 1001, 1 left",
      ]);
    },
  );
});

describe("timeout as Deno's idleTimeout", () => {
  test.each([1, 2, 3, 99, 100, 101, 333, 999, 1_000, 1_500, 59_999, 60_000, 1e9 + 1, 4_294_967_000])(
    "%d ms: both of its timers together are never early, and at most 4 ms late",
    (timeout) => {
      // Deno's two timers, whose delays are integers.
      const delay = Math.trunc((idleTimeoutOf({ timeout }) / 2) * 1000);
      expect(delay).toBeLessThanOrEqual(2 ** 31 - 1);
      expect(2 * delay).toBeGreaterThanOrEqual(timeout);
      expect(2 * delay).toBeLessThanOrEqual(timeout + 4);
    },
  );

  test.each([Number.POSITIVE_INFINITY, 1e300, 2 ** 32])(
    "%d ms: no timer lasts as long, so there is none",
    (timeout) => {
      expect(idleTimeoutOf({ timeout })).toBe(0);
    },
  );
});
