/** `websock-js/deno` inside Deno, with `attach` and without. */
import { describe, expect, test } from "vitest";
import { testFetchHost } from "../support/fetch-host.ts";
import { testAttached, testDrain } from "../support/fetch-host-attached.ts";

const program = "test/hosts/deno-app.mjs";

await describe("with attach", async () => {
  await testFetchHost({ runtime: "deno", program }, (knocker) => {
    testAttached(knocker);

    test("a ping that is pushed is left out, and reported", async () => {
      const socket = await knocker.open("/ping");
      socket.on("ping", () => expect.unreachable());
      socket.send("go");
      await knocker.events("reported a ping can't be sent on deno, and is left out");
      socket.close();
    });

    testDrain(knocker, /^$/);
  });
});

await describe("without", async () => {
  await testFetchHost({ runtime: "deno", program, args: ["bare"] }, (knocker) => {
    test("Hono: what middleware sets on the response is in the 101", async () => {
      const { status, headers, client } = await knocker.knock("/secured");
      expect([status, headers["x-content-type-options"]]).toEqual(["open", "nosniff"]);
      client.socket.destroy();
    });

    // Nobody has given it an `onError`: reports are printed.
    testDrain(knocker, /^(?!.*Uncaught)/);
  });
});
