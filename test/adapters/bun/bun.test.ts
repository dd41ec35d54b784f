/** Tests of `websock-js/bun` in Bun: routes, frameworks and compression. */
import { once } from "node:events";
import { expect, test } from "vitest";
import { closeOf, nextMessage, testFetchHost } from "../../support/fetch-host.ts";
import { testAttached, testDrain } from "../../support/fetch-host-attached.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";

await testFetchHost({ runtime: "bun", program: "test/hosts/bun-app.mjs" }, (knocker) => {
  const { knock, open, events, program } = knocker;
  testAttached(knocker);

  test("functions in routes get parameters and cookies; static responses are served as they are", async () => {
    const route = await knock("/route/lobby");
    expect([route.status, route.headers["set-cookie"]]).toEqual(["open", expect.stringContaining("route=1")]);
    expect(JSON.parse(await route.client.text())).toMatchObject({ arg: "lobby" });
    route.client.socket.destroy();
    (await open("/methods")).close();
    const url = `http://127.0.0.1:${program.port}`;
    expect(await (await fetch(`${url}/methods`, { method: "POST" })).text()).toBe("posted");
    expect(await (await fetch(`${url}/static`)).text()).toBe("static");
    expect((await fetch(`${url}/route/lobby`)).status).toBe(426);
  });

  test.each(["/elysia/lobby", "/elysia/lobby/request"])("Elysia: %s", async (path) => {
    const { status, headers, client } = await knock(path);
    expect([status, headers["x-before"], headers["x-after"]]).toEqual(["open", "1", "1"]);
    expect(JSON.parse(await client.text())).toMatchObject({ arg: "lobby" });
    client.socket.destroy();
    const refused = await knock(path, { Origin: "http://elsewhere.example" });
    expect([refused.status, refused.body]).toEqual([403, expect.stringContaining("origin")]);
    refused.client.socket.destroy();
  });

  test("messages are compressed from the threshold on, if the options say so", async () => {
    const socket = await open("/compressed", [], { perMessageDeflate: { threshold: 0 } });
    expect(socket.extensions).toContain("permessage-deflate");
    for (const data of ["short", "long ".repeat(1000)]) {
      socket.send(data);
      expect(await nextMessage(socket)).toBe(data);
    }
    socket.close();
    const offered = async (extension: string) => {
      const { headers, client } = await knock("/compressed", { "Sec-WebSocket-Extensions": extension });
      client.send(frame(TEXT, "x".repeat(99)), frame(TEXT, "x".repeat(100)));
      const rsv = [(await client.frame()).rsv, (await client.frame()).rsv];
      client.socket.destroy();
      return [headers["sec-websocket-extensions"], rsv];
    };
    expect(await offered("permessage-deflate; client_max_window_bits")).toEqual([
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
      [0, 4],
    ]);
    // Bun supports only a window of 15 bits.
    expect(await offered("permessage-deflate; server_max_window_bits=15")).toEqual([
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=15",
      [0, 4],
    ]);
    for (let bits = 8; bits < 15; bits++)
      expect(await offered(`permessage-deflate; server_max_window_bits=${bits}`)).toEqual([undefined, [0, 0]]);
    expect(await offered("permessage-deflate; server_max_window_bits=10, permessage-deflate")).toEqual([
      "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
      [0, 4],
    ]);
  });

  test("self.connection.compression is Bun's answer", async () => {
    for (const window of ["", "; server_max_window_bits=15"]) {
      const offer = `permessage-deflate${window}`;
      const { headers, client } = await knock("/compressed-facts", { "Sec-WebSocket-Extensions": offer });
      expect(JSON.parse(await client.text())).toMatchObject({ compression: headers["sec-websocket-extensions"] });
      client.socket.destroy();
    }
  });

  test("a client that sends the same close frame as a stopping server is not mistaken for one", async () => {
    const socket = await open("/echo");
    socket.close(1001, "Server closed");
    await events("terminate remote");
  });

  test("a pushed ping is sent", async () => {
    const socket = await open("/ping");
    socket.send("go");
    expect(String((await once(socket, "ping"))[0])).toBe("p");
    socket.close();
  });

  test("a message above the server's limit is closed with 1009 and reported as ProtocolError", async () => {
    const socket = await open("/echo");
    socket.on("error", () => undefined);
    socket.send(Buffer.alloc(10_000_001));
    expect((await closeOf(socket))[0]).toBe(1009);
    await events("terminate error ProtocolError");
  });

  testDrain(knocker, /^$/);
});
