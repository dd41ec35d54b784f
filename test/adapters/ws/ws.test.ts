/** Tests of `attach` and `host` of `websock-js/ws`. */
import { once } from "node:events";
import http from "node:http";
import { describe, expect, test } from "vitest";
import { ConnectionLost, ok, push, stop, text, upgrade, type WebSock } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { attach } from "websock-js/ws";
import { WebSocket, WebSocketServer } from "ws";
import { Echo, Recorder } from "../../support/node-server.ts";
import { deferred, nextTick } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { BINARY, CONTINUATION, closeFrame, frame, PING, PONG, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { acceptByWs, listen, serveByWs } from "../../support/ws-server.ts";

failOnUncaught();

// biome-ignore lint/suspicious/noExplicitAny: whatever state it has
type Handler = WebSock<unknown, any>;

/** Both ways to use `ws`. */
const ways = [
  [
    "attach",
    async (handler: Handler, options = {}, server = {}) =>
      serveByWs((req) => upgrade(req, handler, undefined, options), server),
  ],
  [
    "host",
    async (handler: Handler, options = {}, server = {}) =>
      acceptByWs((sockets, socket, request) => sockets.host(socket, request, handler, undefined, options), server),
  ],
] as const;

describe.each(ways)("%s", (way, serve) => {
  test("a flood to an async handler is handled in order, one callback at a time", async () => {
    const seen: number[] = [];
    let [running, most] = [0, 0];
    const { port } = await serve({
      init: () => ok(null),
      handleIn: async ({ data }) => {
        most = Math.max(most, ++running);
        await (Number(data) % 3 === 0 ? nextTick() : Promise.resolve());
        seen.push(Number(data));
        running--;
        return push(text(data), null);
      },
    });
    const client = await RawClient.upgraded(port);
    const numbers = Array.from({ length: 2_000 }, (_, i) => i);
    client.send(...numbers.map((i) => frame(TEXT, String(i))));
    for (const i of numbers) expect(await client.text()).toBe(String(i));
    expect(seen).toEqual(numbers);
    expect(most).toBe(1);
  });

  test("a rejected callback closes its connection with 1011 and no other", async () => {
    const { port, errors } = await serve({
      init: () => ok(null),
      handleIn: async (message) => {
        if (message.data === "fail") throw new Error("mine");
        return push(message, null);
      },
    });
    const [one, other] = [await RawClient.upgraded(port), await RawClient.upgraded(port)];
    expect(await one.send(frame(TEXT, "fail")).closeCode()).toBe(1011);
    expect(await other.send(frame(TEXT, "still here")).text()).toBe("still here");
    expect(errors).toEqual([new Error("mine")]);
  });

  test.each([
    ["resets", (client: RawClient) => client.reset()],
    ["ends its direction", (client: RawClient) => client.end().ended],
  ])("a client that %s is lost", async (_what, vanish) => {
    const recorder = new Recorder();
    const { port, sockets } = await serve(recorder);
    const client = await RawClient.upgraded(port);
    expect(await client.send(frame(TEXT, "1")).text()).toBe("1");
    await vanish(client);
    expect(await recorder.terminated).toEqual({ error: expect.any(ConnectionLost) });
    while (sockets.connections > 0) await nextTick();
  });

  test.each([0, 999, 1004, 1005, 1006, 1015, 2999, 5000])("close code %i is never sent", async (code) => {
    const { port, errors } = await serve({ init: () => ok(null), handleIn: () => stop("normal", null, { code }) });
    expect(await (await RawClient.upgraded(port)).send(frame(TEXT, "stop")).closeCode()).toBe(1011);
    expect(errors).toEqual([expect.any(RangeError)]);
  });

  test.each([
    ["an unmasked frame", frame(TEXT, "x", { masked: false }), 1002],
    ["a reserved bit", frame(TEXT, "x", { rsv: 2 }), 1002],
    ["a reserved opcode", frame(3), 1002],
    ["a continuation of nothing", frame(CONTINUATION, "x"), 1002],
    ["a close code that may not be sent", closeFrame(1005), 1002],
    ["a text that is not UTF-8", frame(TEXT, Uint8Array.of(0xff)), 1007],
    ["a message that is too large", frame(BINARY, new Uint8Array(101)), 1009],
    [
      "a fragmented message that is too large",
      Buffer.concat([frame(BINARY, new Uint8Array(99), { fin: false }), frame(CONTINUATION, "xx")]),
      1009,
    ],
  ])("%s is a ProtocolError, and what came before it is handled", async (_what, wrong, code) => {
    const recorder = new Recorder();
    const { port } = await serve(recorder, { maxMessageSize: 100 });
    const client = await RawClient.upgraded(port);
    client.send(frame(TEXT, "before"), wrong);
    expect(await client.text()).toBe("before");
    expect(await client.closeCode()).toBe(code);
    expect(await recorder.terminated).toEqual({
      error: expect.objectContaining({ name: "ProtocolError", closeCode: code }),
    });
  });

  test("a binary message is not shared, and retains no other memory", async () => {
    const kept: Uint8Array<ArrayBuffer>[] = [];
    const { port } = await serve({
      init: () => ok(null),
      handleIn: ({ data }) => {
        kept.push(data as Uint8Array<ArrayBuffer>);
        return push(text(String(data.length)), null);
      },
      handleControl: ({ data }) => {
        kept.push(data);
        return ok(null);
      },
    });
    const client = await RawClient.upgraded(port);
    const sizes = [0, 1, 100, 5_000, 200_000];
    client.send(...sizes.map((size) => frame(BINARY, new Uint8Array(size).fill(7))), frame(PONG, "pong"));
    for (const size of sizes) expect(await client.text()).toBe(String(size));
    while (kept.length < 6) await nextTick();
    for (const [i, data] of kept.entries()) {
      expect(Object.getPrototypeOf(data)).toBe(Uint8Array.prototype);
      expect(data.length).toBe([...sizes, 4][i]);
      expect(data.buffer.byteLength).toBeLessThanOrEqual(Math.max(1, data.length * 2));
      if (i < 5) expect(data.every((octet) => octet === 7)).toBe(true);
    }
  });

  test("a large message is sent in fragments, before later messages", async () => {
    const large = "é".repeat(500_000);
    const { port } = await serve({
      init: () => ok(null),
      handleIn: () =>
        stop("normal", null, { messages: [text(large), { opcode: "ping", data: "p" }, text(["la", ["st"]])] }),
    });
    const client = new WebSocket(`ws://127.0.0.1:${port}`);
    const got: string[] = [];
    client.on("message", (data) => got.push(String(data))).on("ping", (data) => got.push(`ping ${data}`));
    await once(client, "open");
    client.send("go");
    expect((await once(client, "close"))[0]).toBe(1000);
    expect(got.map((message) => message.length)).toEqual([large.length, 6, 4]);
    expect(got[0] === large).toBe(true);
  });

  test("part of a message counts as activity", async () => {
    const recorder = new Recorder();
    const clock = new ManualClock();
    const { port, server } = await serve(recorder, { timeout: 1_000, heartbeat: false }, { clock });
    const accepted = once(server, "connection");
    const client = await RawClient.upgraded(port);
    const [socket] = await accepted;
    for (const octets of [frame(TEXT, "", { length: 3 }), "x", "x"]) {
      clock.advance(900);
      const arrived = once(socket, "data");
      client.send(octets);
      await arrived;
    }
    clock.advance(999);
    expect(recorder.messages).toEqual([]);
    clock.advance(1);
    expect(await client.closeCode()).toBe(1001);
    expect(await recorder.terminated).toBe("timeout");
  });

  test("close() closes with 1001 and resolves when all connections are closed; drain() closes with 1012", async () => {
    for (const [end, code] of [
      ["close", 1001],
      ["drain", 1012],
    ] as const) {
      const recorder = new Recorder();
      const { port, sockets } = await serve(recorder);
      const client = await RawClient.upgraded(port);
      expect(sockets.connections).toBe(1);
      const gone = sockets[end]();
      expect(await client.closeCode()).toBe(code);
      expect(await recorder.terminated).toBe("shutdown");
      expect(sockets.connections).toBe(1);
      client.send(closeFrame(code)).end();
      await gone;
      expect(sockets.connections).toBe(0);
    }
  });

  test("options without effect are reported once", async () => {
    const { port, errors } = await serve(Echo, { maxFrameSize: 10, compress: { level: 1 } });
    for (let i = 0; i < 3; i++) await RawClient.upgraded(port);
    const names = errors.map((error) => /"(.+)"/.exec((error as Error).message)![1]);
    expect(names).toEqual(
      way === "attach" ? ["maxFrameSize", "compress.level", "compress"] : ["maxFrameSize", "compress.level"],
    );
  });

  test("messages are compressed from `threshold` on, if compression was negotiated", async () => {
    const ws = { perMessageDeflate: { threshold: 0 } };
    const { port } = await serve(Echo, { compress: { threshold: 100 } }, { ws });
    const client = await RawClient.open(port);
    client.send(handshake({ "Sec-WebSocket-Extensions": "permessage-deflate; server_no_context_takeover" }));
    expect((await client.accepted()).headers["sec-websocket-extensions"]).toMatch(/^permessage-deflate/);
    client.send(frame(TEXT, "x".repeat(99)), frame(TEXT, "x".repeat(100)));
    expect(await client.frame()).toMatchObject({ rsv: 0, payload: { length: 99 } });
    expect((await client.frame()).rsv).toBe(4);
  });
});

describe("attach", () => {
  test("sends the headers of middleware and route, and the subprotocol is in self.connection", async () => {
    const facts = deferred<unknown>();
    const handler = {
      ...Echo,
      init: (_arg: unknown, self: { connection: unknown }) => {
        facts.resolve(self.connection);
        return ok(null);
      },
    };
    const { port, webSocketServer } = await serveByWs((req, res) => {
      res.setHeader("Set-Cookie", ["a=1", "b=2"]).setHeader("Content-Type", "text/html");
      upgrade(req, handler, undefined, { subprotocols: ["b"], headers: { "X-Mine": "1" } });
    });
    webSocketServer.on("headers", (headers) => headers.push("X-Late: 1"));
    const client = await RawClient.open(port);
    const { head, headers } = await client.send(handshake({ "Sec-WebSocket-Protocol": "a, b" })).accepted();
    expect(headers).toMatchObject({
      "set-cookie": "a=1\nb=2",
      "sec-websocket-protocol": "b",
      "x-mine": "1",
      "x-late": "1",
    });
    expect(headers).toMatchObject({ upgrade: "websocket", connection: "Upgrade", date: expect.any(String) });
    expect(head).not.toMatch(/content-|transfer-/i);
    expect(await facts.promise).toMatchObject({
      remoteAddress: "127.0.0.1",
      remotePort: client.socket.localPort,
      httpVersion: "1.1",
      method: "GET",
      subprotocol: "b",
      compression: undefined,
    });
    expect(webSocketServer.clients.size).toBe(1);
    expect([...webSocketServer.clients][0]!.protocol).toBe("b");
  });

  test("negotiates nothing that the route has not asked for", async () => {
    const { port } = await serveByWs((req) => upgrade(req, Echo), { ws: { perMessageDeflate: true } });
    const client = await RawClient.open(port);
    client.send(handshake({ "Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "a" }));
    const { headers } = await client.accepted();
    expect(headers).not.toHaveProperty("sec-websocket-extensions");
    expect(headers).not.toHaveProperty("sec-websocket-protocol");
  });

  test("refuses by the app and by upgrade, not by the WebSocketServer", async () => {
    const { port } = await serveByWs((req, res) => {
      if (req.url === "/secret") res.writeHead(401, { "X-Why": "secret" }).end("who are you?");
      else upgrade(req, Echo);
    });
    const knock = async (headers = {}, line?: string) =>
      (await RawClient.open(port)).send(handshake(headers, line)).answer();
    expect(await knock({}, "GET /secret HTTP/1.1")).toMatchObject({
      status: 401,
      body: "who are you?",
      headers: { "x-why": "secret" },
    });
    expect(await knock({ Origin: "http://elsewhere.example" })).toMatchObject({
      status: 403,
      body: expect.stringContaining("elsewhere"),
    });
    expect(await knock({ "Sec-WebSocket-Version": "8" })).toMatchObject({
      status: 426,
      headers: { "sec-websocket-version": "13" },
    });
    const h2c = await RawClient.open(port);
    h2c.send(
      requestOf("POST / HTTP/1.1", { Host: "localhost", Connection: "Upgrade", Upgrade: "h2c", "Content-Length": "1" }),
      "x",
    );
    expect((await h2c.answer()).status).toBe(405);
  });

  test("refuses upgrades with 503 after close()", async () => {
    const { port, sockets } = await serveByWs((req) => upgrade(req, Echo));
    await sockets.close();
    expect((await (await RawClient.open(port)).send(handshake()).answer()).status).toBe(503);
  });

  test("calls verifyClient of the WebSocketServer, also if that is asynchronous", async () => {
    const inits: unknown[] = [];
    const handler = { ...Echo, init: (arg: unknown) => ok(void inits.push(arg)) as never };
    const verifyClient = ({ req }: { req: http.IncomingMessage }, answer: (ok: boolean, code?: number) => void) =>
      setImmediate(() => answer(req.url !== "/no", 402));
    const { port, sockets } = await serveByWs((req) => upgrade(req, handler, req.url), { ws: { verifyClient } });
    const refused = await RawClient.open(port);
    expect((await refused.send(handshake({}, "GET /no HTTP/1.1")).head()).status).toBe(402);
    const client = await RawClient.open(port);
    client.send(handshake({}, "GET /yes HTTP/1.1"), frame(TEXT, "pipelined"));
    await client.accepted();
    expect(await client.text()).toBe("pipelined");
    expect(inits).toEqual(["/yes"]);
    expect(sockets.connections).toBe(1);
  });

  test("leaves other requests to the WebSocketServer, with its paths", async () => {
    const { port, webSocketServer, sockets } = await serveByWs((req) => upgrade(req, Echo), {
      only: (req) => req.url !== "/socket?old",
      ws: { path: "/socket" },
    });
    webSocketServer.on("connection", (socket) => socket.send("old"));
    const old = await RawClient.open(port);
    await old.send(handshake({}, "GET /socket?old HTTP/1.1")).accepted();
    expect(await old.text()).toBe("old");
    const ours = await RawClient.open(port);
    await ours.send(handshake({}, "GET /socket HTTP/1.1")).accepted();
    expect(await ours.send(frame(TEXT, "new")).text()).toBe("new");
    expect((await (await RawClient.open(port)).send(handshake()).head()).status).toBe(400);
    expect(sockets.connections).toBe(1);
  });

  test("works for a WebSocketServer without a server", async () => {
    const server = http.createServer((req) => upgrade(req, Echo));
    const webSocketServer = new WebSocketServer({ noServer: true });
    attach(webSocketServer, { server });
    const client = await RawClient.upgraded(await listen(server));
    expect(await client.send(frame(TEXT, "hi")).text()).toBe("hi");
    expect(webSocketServer.clients.size).toBe(1);
  });

  test("throws for invalid arguments without attaching anything", () => {
    const server = http.createServer();
    expect(() => attach(new WebSocketServer({ noServer: true }))).toThrow('"server"');
    const webSocketServer = new WebSocketServer({ server });
    expect(() => attach(webSocketServer, { server: http.createServer() })).toThrow('"server"');
    expect(() => attach(webSocketServer, { onErorr: () => {} } as never)).toThrow('unknown option "onErorr"');
    expect(() => attach(webSocketServer, { defaults: { tiemout: 1 } as never })).toThrow("tiemout");
    attach(webSocketServer);
    expect(() => attach(new WebSocketServer({ noServer: true }), { server })).toThrow("already been called");
  });
});

describe("host", () => {
  test("a socket has one handler, and `init` never runs for a client that has disconnected", async () => {
    const recorder = new Recorder();
    const outcome = deferred<unknown>();
    const { port } = await acceptByWs(async (sockets, socket, request) => {
      if (request.url === "/gone") {
        await once(socket, "close");
        outcome.resolve(sockets.host(socket, request, recorder));
        return;
      }
      sockets.host(socket, request, Echo);
      expect(() => sockets.host(socket, request, Echo)).toThrow("already has a handler");
    });
    const client = await RawClient.upgraded(port);
    expect(await client.send(frame(TEXT, "one")).text()).toBe("one");
    const gone = await RawClient.open(port);
    await gone.send(handshake({}, "GET /gone HTTP/1.1")).accepted();
    await gone.reset();
    expect(await outcome.promise).toBe(undefined);
    expect(recorder.inits).toEqual([]);
  });

  test("reports options of the handshake, and refuses connections after close()", async () => {
    const { port, errors, sockets } = await acceptByWs((sockets, socket, request) =>
      sockets.host(socket, request, Echo, undefined, { subprotocols: ["a"], origins: "*" }),
    );
    await (await RawClient.upgraded(port)).reset();
    while (sockets.connections > 0) await nextTick();
    expect(errors.map((error) => (error as Error).message)).toEqual([
      'the option "subprotocols" has no effect on ws (WEBSOCK_NOT_SUPPORTED)',
      'the option "origins" has no effect on ws (WEBSOCK_NOT_SUPPORTED)',
    ]);
    await sockets.close();
    expect(await (await RawClient.upgraded(port)).closeCode()).toBe(1001);
  });

  test("answers pings immediately, and the handler sees them", async () => {
    const { port } = await acceptByWs((sockets, socket, request) =>
      sockets.host(socket, request, {
        ...Echo,
        handleControl: ({ opcode, data }) => push(text([opcode, " ", data]), null),
      }),
    );
    const client = await RawClient.upgraded(port);
    client.send(frame(PING, "p"));
    expect(await client.frame()).toMatchObject({ opcode: PONG, payload: Buffer.from("p") });
    expect(await client.text()).toBe("ping p");
  });
});
