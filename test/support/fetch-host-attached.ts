/** Tests of what only an attached app can do: the upgrade is performed after the app has answered. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { closeOf, type Knocker } from "./fetch-host.ts";

export const testAttached = ({ knock }: Knocker): void => {
  test("Hono: headers of middleware, before the route and after it, are in the 101", async () => {
    const { status, headers, client } = await knock("/hono/room/lobby?user=ada", { Origin: `http://localhost` });
    expect(status).toBe("open");
    expect(headers).toMatchObject({
      "x-after": "1",
      "x-own": "1",
      "access-control-allow-origin": "*",
      "x-content-type-options": "nosniff",
    });
    expect(headers["set-cookie"]?.split("\n").map((cookie) => cookie.split(";")[0])).toEqual(["seen=1", "own=1"]);
    for (const name of ["content-length", "content-type", "transfer-encoding"])
      expect(headers).not.toHaveProperty(name);
    expect(JSON.parse(await client.text())).toMatchObject({ arg: "lobby", remoteAddress: "127.0.0.1" });
    client.socket.destroy();
  });

  test("Hono: the app's own error handler answers an UpgradeError", async () => {
    const { status, body, client } = await knock("/hono/room/lobby?user=ada", { Origin: "http://elsewhere.example" });
    expect([status, body]).toEqual([403, expect.stringContaining("origin")]);
    client.socket.destroy();
  });

  test("a route that fails after the upgrade, or returns another response, cancels the upgrade", async () => {
    const failed = await knock("/hono/fails");
    expect([failed.status, failed.body]).toEqual([500, "failed"]);
    const changed = await knock("/changed");
    expect([changed.status, changed.body]).toEqual([409, "no after all"]);
    for (const { client } of [failed, changed]) client.socket.destroy();
  });
};

/** The last test of a host, because it ends the host's process. */
export const testDrain = ({ open, program }: Knocker, printed: RegExp): void => {
  test("drain closes with 1012, and the process ends", async () => {
    const socket = await open("/echo");
    const exit = once(program.child, "exit");
    const closed = closeOf(socket);
    program.child.kill("SIGTERM");
    expect(await closed).toEqual([1012, ""]);
    expect(await exit).toEqual([0, null]);
    for (const line of program.stderr().split("\n")) expect(line).toMatch(printed);
  });
};
