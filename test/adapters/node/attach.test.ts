/** Tests of `attach` on Node: its options, error reports and subprotocols. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import http from "node:http";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type ErrorContext, type HandleResult, ok, push, text, upgrade } from "websock-js";
import { type AttachOptions, attach } from "websock-js/node";
import { compiledForChildren } from "../../support/child.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { BINARY, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();
const runChild = compiledForChildren();

const failure = new Error("mine");

const Failing = {
  init: () => ok(null),
  handleIn: (): HandleResult<null> => {
    throw failure;
  },
};

/** Makes handleIn throw, and returns the close code. */
const provoke = async (port: number): Promise<number> =>
  (await RawClient.upgraded(port)).send(frame(TEXT, "now")).closeCode();

describe("attach", () => {
  test("throws if called twice for a server", () => {
    const server = http.createServer();
    attach(server);
    expect(() => attach(server)).toThrow("already been called");
  });

  test.each([
    ["an unknown option", { onErorr: () => {} }],
    ["an unknown option among the defaults", { defaults: { tiemout: 1 } }],
    ["a default of the wrong type", { defaults: { timeout: "1s" } }],
  ])("%s throws a TypeError, and the server may be attached after all", (_name, options) => {
    const server = http.createServer();
    expect(() => attach(server, options as AttachOptions)).toThrow(TypeError);
    expect(server.listenerCount("upgrade")).toBe(0);
    expect(() => attach(server)).not.toThrow();
  });

  test("works before and after listeners are added, and when they change", async () => {
    const { server, port } = await serve([]);
    server.once("request", (req) => upgrade(req, Echo));
    await RawClient.upgraded(port);
    server.on("request", (_req, res) => res.writeHead(404).end());
    expect((await (await RawClient.open(port)).send(handshake()).answer()).status).toBe(404);
  });

  test("uses its defaults for options that the call does not set", async () => {
    const { port } = await serve(
      (req) => upgrade(req, Echo, undefined, req.url === "/" ? undefined : { maxMessageSize: 10 }),
      { defaults: { maxMessageSize: 5, headers: { "X-Default": "1" } } },
    );
    const strict = await RawClient.open(port);
    expect((await strict.send(handshake()).accepted()).headers["x-default"]).toBe("1");
    expect(await strict.send(frame(BINARY, "123456")).closeCode()).toBe(1009);
    const lax = await RawClient.open(port);
    expect((await lax.send(handshake({}, "GET /lax HTTP/1.1")).accepted()).headers["x-default"]).toBe("1");
    lax.send(frame(BINARY, "1234567890"), frame(BINARY, "12345678901"));
    expect((await lax.frame()).payload.length).toBe(10);
    expect(await lax.closeCode()).toBe(1009);
  });
});

describe("errors", () => {
  test("in callbacks reach onError with their context, and the client gets 1011 without a text", async () => {
    const told: [unknown, ErrorContext | undefined][] = [];
    const { port } = await serve((req) => upgrade(req, Failing), { onError: (...args) => told.push(args) });
    const client = await RawClient.upgraded(port);
    const { payload } = await client.send(frame(TEXT, "now")).frame();
    expect([...payload]).toEqual([1011 >> 8, 1011 & 255]);
    const context = { callback: "handleIn", id: expect.any(String), connection: expect.any(Object) };
    expect(told).toEqual([[failure, { ...context, handler: undefined, path: "/" }]]);
    expect(told[0]![1]!.connection).toMatchObject({
      remoteAddress: "127.0.0.1",
      remotePort: client.socket.localPort,
      httpVersion: "1.1",
    });
  });

  test("are published on the diagnostics channel", async () => {
    const published: unknown[] = [];
    const onMessage = (message: unknown): void => void published.push(message);
    subscribe("websock-js:error", onMessage);
    onTestFinished(() => void unsubscribe("websock-js:error", onMessage));
    const { port, errors } = await serve((req) => upgrade(req, Failing));
    await provoke(port);
    expect(published).toEqual([
      {
        error: failure,
        callback: "handleIn",
        id: expect.any(String),
        connection: expect.any(Object),
        handler: undefined,
        path: "/",
      },
    ]);
    expect(errors).toEqual([failure]);
  });

  test("are printed if there is no onError", async () => {
    const { code, stdout, stderr } = await runChild(`
      import http from "node:http";
      import net from "node:net";
      import { ok, upgrade } from "websock-js";
      import { attach } from "websock-js/node";
      const server = http.createServer((req) => upgrade(req, { name: "Mine", init() { throw new Error("mine"); }, handleIn: ok }));
      attach(server, { defaults: { closeTimeout: 50 } });
      server.listen(0, "127.0.0.1", () => {
        const socket = net.connect(server.address().port, "127.0.0.1");
        socket.write(${JSON.stringify(handshake())});
        socket.resume().on("end", () => { socket.end(); server.close(); });
      });`);
    expect(stderr).toMatch(/^websock-js: init of Mine at \/, connection [\da-f-]{36}: Error: mine\n/);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  });

  test("name the handler and the path of the request, truncated and without the query", async () => {
    class Room {
      init(): never {
        throw failure;
      }
      handleIn(): never {
        throw failure;
      }
    }
    const told: (readonly [handler: string | undefined, path: string])[] = [];
    const handlers: Record<string, object> = {
      module: { ...Failing, name: "failing" },
      room: new Room(),
    };
    const { port } = await serve(
      (req) => upgrade(req, (handlers[req.url!.split(/[/?]/)[1]!] ?? Failing) as typeof Failing),
      { onError: (_error, context) => told.push([context!.handler, context!.path]) },
    );
    const long = `/${"x".repeat(1000)}`;
    for (const path of ["/module/a?token=secret", "/room/b", "/none", `${long}?x=1`, `${long}?x=1`]) {
      const client = await RawClient.open(port);
      client.send(handshake({}, `GET ${path} HTTP/1.1`), frame(TEXT, "now"));
      await client.accepted();
      await client.closeCode();
    }
    expect(told).toEqual([
      ["failing", "/module/a"],
      ["Room", "/room/b"],
      [undefined, "/none"],
      [undefined, `${long.slice(0, 256)}…`],
      [undefined, `${long.slice(0, 256)}…`],
    ]);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("onError itself");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("onError itself");
      },
    ],
  ])("do no harm where onError itself %s", async (_name, onError) => {
    const print = vi.spyOn(console, "error").mockImplementation(() => {});
    onTestFinished(() => print.mockRestore());
    const { port } = await serve((req) => upgrade(req, Failing), { onError });
    expect(await provoke(port)).toBe(1011);
    expect(await provoke(port)).toBe(1011);
    expect(print).toHaveBeenCalledTimes(2);
    expect(print.mock.calls[0]).toContainEqual(new Error("onError itself"));
  });

  test("for options without effect are reported once", async () => {
    const { port, errors } = await serve((req) =>
      upgrade(req, Echo, undefined, { fullsweepAfter: 20, maxHeapSize: 1_000_000 }),
    );
    for (let i = 0; i < 3; i++) await RawClient.upgraded(port);
    expect(errors).toEqual([
      expect.objectContaining({ message: expect.stringContaining('"fullsweepAfter"') }),
      expect.objectContaining({ message: expect.stringContaining('"maxHeapSize"') }),
    ]);
  });

  test("in one connection do not affect others", async () => {
    const { port } = await serve((req) => (req.url === "/" ? upgrade(req, Failing) : upgrade(req, Echo)));
    const client = await RawClient.open(port);
    await client.send(handshake({}, "GET /echo HTTP/1.1")).accepted();
    for (let i = 0; i < 10; i++) {
      await provoke(port);
      expect(await client.send(frame(TEXT, `${i}`)).text()).toBe(`${i}`);
    }
  });
});

describe("subprotocols", () => {
  const offer = { "Sec-WebSocket-Protocol": "a, b ,c" };

  test.each([
    ["the client's order counts", ["c", "b"], offer, "b"],
    ["none that we have", ["x"], offer, undefined],
    ["none offered", ["a"], {}, undefined],
    ["none wanted", undefined, offer, undefined],
    ["a function picks", (offered: readonly string[]) => offered.at(-1), offer, "c"],
    ["a function picks none", () => null, offer, undefined],
    ["several headers are one list", ["c"], { "Sec-WebSocket-Protocol": ["a", "c"] }, "c"],
  ])("%s", async (_name, subprotocols, headers, agreed) => {
    const handler = {
      ...Echo,
      init: (_arg: unknown, self: { connection: { subprotocol: string | undefined } }) =>
        push(text(String(self.connection.subprotocol)), null),
    };
    const { port } = await serve((req) =>
      upgrade(req, handler, undefined, subprotocols === undefined ? {} : { subprotocols }),
    );
    const client = await RawClient.open(port);
    expect((await client.send(handshake(headers)).accepted()).headers["sec-websocket-protocol"]).toBe(agreed);
    expect(await client.text()).toBe(String(agreed));
  });

  test.each([
    ["not offered", () => "d"],
    ["that would split the answer", () => "a\r\nSet-Cookie: x"],
  ])("a function that picks one %s: 500, and a report", async (_name, subprotocols) => {
    const { port, errors } = await serve((req) => upgrade(req, Echo, undefined, { subprotocols }));
    const client = await RawClient.open(port);
    expect(await client.send(handshake(offer)).answer()).toMatchObject({ status: 500 });
    expect(errors).toEqual([expect.objectContaining({ cause: expect.any(RangeError) })]);
  });
});
