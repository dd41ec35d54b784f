/** Tests of the 101 response of `websock-js/node` and `websock-js/ws` over `node:http` of Bun and Deno. */
import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { fileOf, haveRuntime, startProgram } from "../../support/runtimes.ts";

describe.each([
  ["bun", "node"],
  ["deno", "node"],
  ["deno", "ws"],
] as const)("on %s, /%s", (runtime, adapter) => {
  test.runIf(haveRuntime(runtime)).each(["Upgrade", "keep-alive, Upgrade", "close, Upgrade"])(
    "Connection: %s: one 101 with no body, whose hooks run, and the connection stays",
    async (connection) => {
      const { port, stop } = await startProgram(runtime, "test/hosts/node-101.mjs", { args: [adapter] });
      try {
        const client = (await RawClient.open(port)).send(handshake({ Connection: connection }));
        const { status, headers } = await client.accepted();
        expect([status, headers.connection, headers["x-middleware"]]).toEqual([101, "Upgrade", "1"]);
        // A 1xx response must not have them (RFC 9112 §6.1, RFC 9110 §8.6).
        for (const name of ["transfer-encoding", "content-length"]) expect(headers).not.toHaveProperty(name);
        expect(await client.text()).toBe("open");
        client.send(frame(TEXT, "hello"));
        expect(await client.text()).toBe("finish close true");
        client.socket.destroy();
      } finally {
        await stop();
      }
    },
  );
});

describe.runIf(haveRuntime("bun"))("/ws on Bun, which replaces ws with its own implementation", () => {
  test.each([
    ["attach", "attach(new WebSocketServer({ server: http.createServer() }))"],
    ["hosting", "hosting()"],
    ["host", "host({ on() {} }, {}, { init() {}, handleIn() {} })"],
  ])("%s() refuses, and names what to use instead", (name, call) => {
    const script = `
      import http from "node:http";
      import { WebSocketServer } from "ws";
      import { attach, host, hosting } from "websock-js/ws";
      try { ${call} } catch (error) { console.log(error.message) }`;
    const printed = execFileSync(fileOf("bun"), ["--eval", script], { encoding: "utf8" });
    expect(printed).toContain(`${name}() from "websock-js/ws" does not work on Bun`);
    expect(printed).toMatch(/"websock-js\/bun".*"websock-js\/node"/);
  });
});
