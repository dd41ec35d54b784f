/** Tests of clients that pipeline frames or disconnect at different moments. */
import { type EventEmitter, once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { ConnectionLost, type DataMessage, type HandleResult, ok, push, text, upgrade } from "websock-js";
import { Echo, Recorder, type Served, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { BINARY, CLOSE, CONTINUATION, closeFrame, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

/** Checks that the server works for another client. */
const isHealthy = async ({ port }: Served, path = "/"): Promise<void> => {
  const client = await RawClient.open(port);
  await client.send(handshake({}, `GET ${path} HTTP/1.1`)).accepted();
  expect(await client.send(frame(TEXT, "healthy")).text()).toBe("healthy");
};

/** Accepts any end of the connection. */
const happens = (emitter: EventEmitter, event: string): Promise<unknown> =>
  new Promise((resolve) => emitter.once(event, resolve));

/** Ways to disconnect without a close frame. */
const ways: [string, (client: RawClient) => unknown][] = [
  ["resets", (client) => client.reset()],
  ["destroys its socket", (client) => client.socket.destroy()],
  ["ends its direction", (client) => client.end()],
];

describe("frames pipelined behind the handshake", () => {
  const many = Array.from({ length: 1000 }, (_, i) => frame(TEXT, `message ${i}`));

  test.each([
    ["a route that upgrades at once", 0],
    ["an async route", 5],
  ])("all reach %s, in order", async (_name, turns) => {
    const recorder = new Recorder();
    const { port } = await serve(async (req) => {
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      upgrade(req, recorder);
    });
    const client = await RawClient.open(port);
    await client.send(handshake(), ...many).accepted();
    for (let i = 0; i < many.length; i++) expect(await client.text()).toBe(`message ${i}`);
    expect(recorder.inits).toHaveLength(1);
  });

  test("more data than buffers hold waits for an async route and an async init", async () => {
    const [route, init] = [deferred(), deferred()];
    const recorder = new Recorder();
    const slow = { ...recorder, init: (arg: unknown) => init.promise.then(() => recorder.init(arg)) };
    const { port } = await serve(async (req) => {
      await route.promise;
      upgrade(req, slow);
    });
    const payload = Buffer.alloc(100_000, "0123456789");
    const client = await RawClient.open(port);
    client.send(handshake(), ...Array.from({ length: 50 }, () => frame(BINARY, payload)));
    route.resolve();
    await client.accepted();
    init.resolve();
    for (let i = 0; i < 50; i++) expect((await client.frame()).payload.equals(payload)).toBe(true);
  });

  test("a whole conversation in one chunk is answered completely", async () => {
    const recorder = new Recorder();
    const { port } = await serve((req) => upgrade(req, recorder));
    const client = await RawClient.open(port);
    client.send(handshake(), frame(TEXT, "one", { fin: false }), frame(CONTINUATION, " two"), closeFrame(4001)).end();
    await client.accepted();
    expect(await client.text()).toBe("one two");
    expect(await client.closeCode()).toBe(4001);
    expect(await client.ended).toBe("end");
    expect(await recorder.terminated).toBe("remote");
  });

  test("a frame split at the end of the chunk with the handshake", async () => {
    const { port } = await serve((req) => upgrade(req, Echo));
    const whole = frame(TEXT, "in two");
    const client = await RawClient.open(port);
    await client.send(handshake(), whole.subarray(0, 3)).accepted();
    expect(await client.send(whole.subarray(3)).text()).toBe("in two");
  });
});

describe("a client that has disconnected before an async route upgrades", () => {
  test.each(ways)("%s: upgrade returns normally, and init never runs", async (_name, leave) => {
    const arrived = deferred<[IncomingMessage, ServerResponse]>();
    const recorder = new Recorder();
    const served = await serve((req, res) => {
      if (req.url === "/") arrived.resolve([req, res]);
      else upgrade(req, Echo);
    });
    const client = (await RawClient.open(served.port)).send(handshake());
    const [req, res] = await arrived.promise;
    const gone = Promise.race([happens(req.socket, "end"), happens(req.socket, "close")]);
    const closed = happens(res, "close");
    await leave(client);
    await gone;
    expect(upgrade(req, recorder)).toBe(req);
    expect(() => upgrade(req, recorder)).toThrow("already been upgraded");
    await closed;
    expect(recorder.inits).toEqual([]);
    expect(served.sockets.connections).toBe(0);
    expect(served.errors).toEqual([]);
    await isHealthy(served, "/other");
  });

  test("a client that has only ended its direction still gets a refusal", async () => {
    const { port } = await serve(async (req, res) => {
      await once(req.socket, "end");
      res.writeHead(403).end("no");
    });
    const client = (await RawClient.open(port)).send(handshake()).end();
    expect(await client.answer()).toMatchObject({ status: 403 });
    expect(await client.ended).toBe("end");
  });

  test.each(ways)("%s after an unanswered request", async (_name, leave) => {
    const first = deferred<ServerResponse>();
    const recorder = new Recorder();
    const served = await serve((req, res) => {
      if (req.url === "/slow") first.resolve(res);
      else if (req.url === "/") upgrade(req, recorder);
      else upgrade(req, Echo);
    });
    const client = await RawClient.open(served.port);
    client.send(requestOf("GET /slow HTTP/1.1", { Host: "a" }), handshake());
    const res = await first.promise;
    const socket = res.socket!;
    const gone = Promise.race([happens(socket, "end"), happens(socket, "close")]);
    await leave(client);
    await gone;
    const closed = socket.closed || happens(socket, "close");
    res.end("late");
    await closed;
    expect(recorder.inits).toEqual([]);
    await isHealthy(served, "/other");
  });

  test("a timeout that middleware sets on the socket ends with the upgrade", async () => {
    const { port, accepted } = await serve((req) => {
      req.setTimeout(1, () => req.destroy());
      upgrade(req, Echo);
    });
    const client = await RawClient.upgraded(port);
    expect(accepted[0]!.timeout).toBe(0);
    expect(await client.send(frame(TEXT, "still here")).text()).toBe("still here");
  });
});

describe("a client that disconnects without a close frame", () => {
  const moments: [string, Uint8Array][] = [
    ["between messages", frame(TEXT, "whole")],
    ["mid-header", Buffer.concat([frame(TEXT, "whole"), frame(BINARY, Buffer.alloc(70_000)).subarray(0, 5)])],
    ["mid-frame", Buffer.concat([frame(TEXT, "whole"), frame(TEXT, "not whole").subarray(0, 9)])],
    ["mid-message", Buffer.concat([frame(TEXT, "whole"), frame(TEXT, "the first half", { fin: false })])],
    ["mid-close", Buffer.concat([frame(TEXT, "whole"), closeFrame(1000, "bye").subarray(0, 7)])],
  ];
  for (const [way, leave] of ways) {
    test.each(moments)(`${way} %s`, async (_name, bytes) => {
      const recorder = new Recorder();
      const served = await serve((req) => (req.url === "/" ? upgrade(req, recorder) : upgrade(req, Echo)));
      const client = await RawClient.upgraded(served.port);
      expect(await client.send(bytes).text()).toBe("whole");
      await leave(client);
      expect(await recorder.terminated).toEqual({ error: expect.any(ConnectionLost) });
      expect(recorder.messages).toEqual(["whole"]);
      expect(served.errors).toEqual([]);
      await isHealthy(served, "/other");
    });

    test(`${way} while init is pending`, async () => {
      const [started, gate, ended] = [deferred(), deferred(), deferred<unknown>()];
      const served = await serve((req) =>
        upgrade(req, req.url === "/" ? pending : Echo, undefined, { closeTimeout: 60_000 }),
      );
      const pending = {
        init: async (): Promise<HandleResult<null>> => {
          started.resolve();
          await gate.promise;
          return push(text("too late"), null);
        },
        handleIn: Echo.handleIn,
        terminate: ended.resolve,
      };
      const client = await RawClient.upgraded(served.port);
      await started.promise;
      const closed = happens(served.accepted[0]!, "close");
      await leave(client);
      await closed;
      gate.resolve();
      expect(await ended.promise).toEqual({ error: expect.any(ConnectionLost) });
      await isHealthy(served, "/other");
      expect(served.sockets.connections).toBe(1);
    });

    test(`${way} after our close frame`, async () => {
      const ended = deferred<unknown>();
      const served = await serve((req) => upgrade(req, req.url === "/" ? stopping : Echo));
      const stopping = {
        init: () => ok(null),
        handleIn: (): HandleResult<null> => ["stop", "normal", [4000, "enough"], null],
        terminate: ended.resolve,
      };
      const client = await RawClient.upgraded(served.port);
      expect(await client.send(frame(TEXT, "stop")).closeCode()).toBe(4000);
      expect(await ended.promise).toBe("normal");
      const closed = happens(served.accepted[0]!, "close");
      await leave(client);
      await closed;
      expect(served.sockets.connections).toBe(0);
      await isHealthy(served, "/other");
    });
  }

  test("messages that arrived completely are handled first, however slowly", async () => {
    const handled: string[] = [];
    const ended = deferred<unknown>();
    const slow = {
      init: () => ok(null),
      handleIn: async (message: { data: unknown }): Promise<HandleResult<null>> => {
        await new Promise((resolve) => setImmediate(resolve));
        handled.push(String(message.data));
        return ok(null);
      },
      terminate: ended.resolve,
    };
    const { port } = await serve((req) => upgrade(req, slow));
    const client = await RawClient.open(port);
    const sent = Array.from({ length: 3000 }, (_, i) => String(i));
    client.send(handshake(), ...sent.map((data) => frame(TEXT, data))).end();
    expect(await ended.promise).toEqual({ error: expect.any(ConnectionLost) });
    expect(handled).toEqual(sent);
  });

  test("a close frame followed by the end of the stream is answered, even if a callback is pending", async () => {
    const gate = deferred();
    const handleIn = (message: DataMessage) => gate.promise.then(() => push(message, null));
    const slow = { ...Echo, handleIn };
    const { port } = await serve((req) => upgrade(req, slow, undefined));
    const client = await RawClient.upgraded(port);
    client.send(frame(TEXT, "last"), closeFrame(1000)).end();
    await once(client.socket, "finish");
    gate.resolve();
    expect((await client.frame()).payload.toString()).toBe("last");
    expect(await client.frame()).toMatchObject({ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8]) });
    expect(await client.ended).toBe("end");
  });

  test("a thousand resets at random moments leak nothing", async () => {
    const served = await serve(async (req) => {
      if (req.url !== "/") return void upgrade(req, Echo);
      await new Promise((resolve) => setImmediate(resolve));
      upgrade(req, Echo);
    });
    const bytes = Buffer.concat([Buffer.from(handshake()), frame(TEXT, "a"), frame(BINARY, "b"), closeFrame(1000)]);
    await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        const client = await RawClient.open(served.port);
        client.send(bytes.subarray(0, i % (bytes.length + 1)));
        if (i % 3 > 0) await new Promise((resolve) => setImmediate(resolve));
        await client.reset();
      }),
    );
    await isHealthy(served, "/other");
    await Promise.all(served.accepted.slice(0, -1).map((socket) => socket.closed || once(socket, "close")));
    expect(served.sockets.connections).toBe(1);
    expect(served.errors).toEqual([]);
  });
});
