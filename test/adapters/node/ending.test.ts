/** Tests of the attachment's `close` and `drain` on a Node server. */
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { type CloseReason, ok, type Self, stop, UpgradeError, upgrade } from "websock-js";
import { ManualClock } from "websock-js/testing";
import WebSocket from "ws";
import { Echo, Recorder, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { closeFrame, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

/** Opens this number of connections. */
const openMany = (port: number, count: number): Promise<RawClient[]> =>
  Promise.all(Array.from({ length: count }, () => RawClient.upgraded(port)));

/** Answers the server's close frame, and returns its code. */
const leave = async (client: RawClient): Promise<number> => {
  const code = await client.closeCode();
  client.send(closeFrame(code));
  expect(await client.ended).toBe("end");
  client.end();
  return code;
};

test("connections counts the open ones", async () => {
  const recorder = new Recorder();
  const { port, sockets } = await serve((req) => (req.url === "/" ? upgrade(req, Echo) : upgrade(req, recorder)));
  expect(sockets.connections).toBe(0);
  await openMany(port, 3);
  const client = new WebSocket(`ws://127.0.0.1:${port}/recorded`);
  await new Promise((resolve) => client.once("open", resolve));
  expect(sockets.connections).toBe(4);
  client.close(1000);
  expect(await recorder.terminated).toBe("remote");
  await new Promise((resolve) => client.once("close", resolve));
  const rejected = await RawClient.open(port);
  await rejected.send(handshake({ Origin: "http://elsewhere.example" })).answer();
  expect(sockets.connections).toBe(3);
});

describe("close", () => {
  test("resolves for a server without connections, repeatedly", async () => {
    const { sockets } = await serve((req) => upgrade(req, Echo));
    await sockets.close();
    await sockets.close();
  });

  test("closes with 1001, reports `shutdown` to the handler, and resolves after the closing handshakes", async () => {
    const reasons: CloseReason[] = [];
    const handler = { ...Echo, terminate: (reason: CloseReason) => void reasons.push(reason) };
    const { port, sockets, errors } = await serve((req) => upgrade(req, handler));
    const clients = await openMany(port, 5);
    let resolved = false;
    const closed = sockets.close().then(() => {
      resolved = true;
    });
    expect(reasons).toEqual(Array(5).fill("shutdown"));
    for (const client of clients) {
      expect(resolved).toBe(false);
      expect(await leave(client)).toBe(1001);
    }
    await closed;
    expect(sockets.connections).toBe(0);
    expect(errors).toEqual([]);
  });

  test("waits for a pending terminate", async () => {
    const [terminating, gate] = [deferred(), deferred()];
    const handler = {
      ...Echo,
      terminate: () => {
        terminating.resolve();
        return gate.promise;
      },
    };
    const { port, sockets } = await serve((req) => upgrade(req, handler));
    const client = await RawClient.upgraded(port);
    let resolved = false;
    const closed = sockets.close().then(() => {
      resolved = true;
    });
    await terminating.promise;
    await leave(client);
    expect(resolved).toBe(false);
    gate.resolve();
    await closed;
  });

  test("aborts an unresponsive client after closeTimeout, not before", async () => {
    const clock = new ManualClock();
    const { port, sockets } = await serve((req) => upgrade(req, Echo), { clock, defaults: { closeTimeout: 200 } });
    const client = await RawClient.upgraded(port);
    const closed = sockets.close();
    expect(await client.closeCode()).toBe(1001);
    clock.advance(199);
    expect(sockets.connections).toBe(1);
    clock.advance(1);
    await closed;
    expect(sockets.connections).toBe(0);
  });

  test("does the same with the system clock", async () => {
    const { port, sockets } = await serve((req) => upgrade(req, Echo), { defaults: { closeTimeout: 200 } });
    const client = await RawClient.upgraded(port);
    const before = performance.now();
    await sockets.close();
    expect(performance.now() - before).toBeGreaterThanOrEqual(200);
    expect(await client.closeCode()).toBe(1001);
  });

  test("refuses new upgrades with 503 before they reach the app, and serves ordinary requests", async () => {
    const urls: unknown[] = [];
    const { port, sockets } = await serve((req, res) => {
      urls.push(req.url);
      if (req.url === "/plain") res.end("served");
      else upgrade(req, Echo);
    });
    await sockets.close();
    const client = await RawClient.open(port);
    expect(await client.send(handshake()).answer()).toMatchObject({ status: 503 });
    expect(await client.ended).toBe("end");
    const plain = await RawClient.open(port);
    expect((await plain.send(requestOf("GET /plain HTTP/1.1", { Host: "a" })).answer()).body).toBe("served");
    expect(urls).toEqual(["/plain"]);
  });

  test("refuses an upgrade with 503 whose route is pending", async () => {
    const arrived = deferred<IncomingMessage>();
    const gate = deferred();
    const recorder = new Recorder();
    const { port, sockets } = await serve(async (req) => {
      arrived.resolve(req);
      await gate.promise;
      upgrade(req, recorder);
    });
    const client = (await RawClient.open(port)).send(handshake());
    const req = await arrived.promise;
    await sockets.close();
    expect(() => upgrade(req, recorder)).toThrow(UpgradeError);
    gate.resolve();
    expect(await client.answer()).toMatchObject({ status: 503 });
    expect(await client.ended).toBe("end");
    expect(recorder.inits).toEqual([]);
  });

  test("sends no second close frame to a client whose closing handshake is in progress", async () => {
    const { port, sockets } = await serve((req) => upgrade(req, Echo));
    const client = await RawClient.upgraded(port);
    client.send(frame(TEXT, "last"), closeFrame(4000));
    expect(await client.text()).toBe("last");
    const closed = sockets.close();
    expect(await client.closeCode()).toBe(4000);
    expect((await client.rest()).length).toBe(0);
    client.end();
    await closed;
  });
});

describe("drain", () => {
  test("closes with 1012 in batches, and reports `shutdown` to the handler", async () => {
    const clock = new ManualClock();
    let terminated = 0;
    const reasons = new Set<unknown>();
    const handler = {
      init: () => ok(null),
      handleIn: Echo.handleIn,
      terminate: (reason: CloseReason) => {
        terminated++;
        reasons.add(reason);
      },
    };
    const { port, sockets } = await serve((req) => upgrade(req, handler), {
      clock,
      defaults: { timeout: Number.POSITIVE_INFINITY },
    });
    const clients = await openMany(port, 5);
    const drained = sockets.drain({ batch: 2, interval: 1000, deadline: 60_000 });
    expect(terminated).toBe(2);
    clock.advance(999);
    expect(terminated).toBe(2);
    clock.advance(1);
    expect(terminated).toBe(4);
    clock.advance(1000);
    expect(terminated).toBe(5);
    expect(await Promise.all(clients.map(leave))).toEqual(Array(5).fill(1012));
    await drained;
    expect([...reasons]).toEqual(["shutdown"]);
  });

  test("aborts all remaining connections at its deadline", async () => {
    const clock = new ManualClock();
    const { port, sockets } = await serve((req) => upgrade(req, Echo), {
      clock,
      defaults: { timeout: Number.POSITIVE_INFINITY, closeTimeout: 1_000_000 },
    });
    const clients = await openMany(port, 3);
    const drained = sockets.drain({ batch: 1, interval: 1000, deadline: 1500 });
    clock.advance(1499);
    expect(sockets.connections).toBe(3);
    clock.advance(1);
    await drained;
    expect(sockets.connections).toBe(0);
    await Promise.all(clients.map((client) => client.ended));
  });

  test("reports `shutdown` also for connections that it aborts", async () => {
    const clock = new ManualClock();
    const handlers = [new Recorder(), new Recorder()];
    let next = 0;
    const { port, sockets } = await serve((req) => upgrade(req, handlers[next++]!, undefined), {
      clock,
      defaults: { closeTimeout: 1_000_000 },
    });
    await openMany(port, 2);
    const drained = sockets.drain({ batch: 1, interval: 2000, deadline: 1000 });
    clock.advance(1000);
    await drained;
    expect(await Promise.all(handlers.map(({ terminated }) => terminated))).toEqual(["shutdown", "shutdown"]);
  });

  test.each([{ batch: 0 }, { interval: Number.NaN }, { deadline: -1 }])("refuses %j", async (options) => {
    const { sockets } = await serve((req) => upgrade(req, Echo));
    expect(() => sockets.drain(options)).toThrow(TypeError);
  });

  test("refuses new upgrades with 503", async () => {
    const { port, sockets } = await serve((req) => upgrade(req, Echo));
    const drained = sockets.drain();
    expect((await (await RawClient.open(port)).send(handshake()).answer()).status).toBe(503);
    await drained;
  });

  test("works with the system clock", async () => {
    const { port, sockets } = await serve((req) => upgrade(req, Echo));
    const clients = await openMany(port, 3);
    const left = Promise.all(clients.map(leave));
    await sockets.drain({ batch: 2, interval: 10 });
    expect(await left).toEqual([1012, 1012, 1012]);
  });
});

test("the peer's answer to our close frame is in self.connection afterwards", async () => {
  const connections: Self["connection"][] = [];
  const handler = {
    init: (_: undefined, self: Self) => {
      connections.push(self.connection);
      return stop("normal", 0, { code: 4001 });
    },
    handleIn: () => ok(0),
  };
  const { port, sockets } = await serve((req) => upgrade(req, handler));
  const client = await RawClient.upgraded(port);
  expect(await client.closeCode()).toBe(4001);
  expect(connections).toMatchObject([{ closeCode: undefined }]);
  client.send(closeFrame(4002, "as you wish"));
  await sockets.close();
  expect(connections).toMatchObject([{ closeCode: 4002, closeText: "as you wish" }]);
});
