/** Tests that WebSockets are closed when their server is closed, by whatever means. */
import { once } from "node:events";
import type { Server } from "node:http";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import fastify from "fastify";
import { describe, expect, test } from "vitest";
import { ConnectionLost, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { ManualClock } from "websock-js/testing";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { openHttp2Stream, testHttp2 } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, Recorder, serve } from "../../support/node-server.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { closeFrame } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { acceptByWs, serveByWs } from "../../support/ws-server.ts";

failOnUncaught();
const tls = selfSigned();

/** Answers the server's close frame, and returns its code. */
const leave = async (client: RawClient<Duplex>): Promise<number> => {
  const code = await client.closeCode();
  client.send(closeFrame(code));
  await client.ended;
  client.end();
  return code;
};

const closed = (server: { close(callback: () => void): unknown }): Promise<void> =>
  new Promise((resolve) => server.close(resolve));

/** Collects the connections that the server accepts. */
const acceptedBy = (server: Server): Duplex[] => {
  const sockets: Duplex[] = [];
  server.on("connection", (socket) => sockets.push(socket));
  return sockets;
};

const hosts = [
  ["websock-js/node", async (handler: Recorder) => serve((req) => upgrade(req, handler, undefined))],
  ["websock-js/ws", async (handler: Recorder) => serveByWs((req) => upgrade(req, handler, undefined))],
  [
    "host of websock-js/ws",
    async (handler: Recorder) => acceptByWs((sockets, ...args) => sockets.host(...args, handler, undefined)),
  ],
] as const;

describe.each(hosts)("%s", (_name, serveIt) => {
  test("close() of the server closes with 1001, and calls back when the clients have disconnected", async () => {
    const recorder = new Recorder();
    const { port, server, sockets } = await serveIt(recorder);
    const client = await RawClient.upgraded(port);
    const gone = closed(server);
    expect(await leave(client)).toBe(1001);
    await gone;
    expect(await recorder.terminated).toBe("shutdown");
    while (sockets.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("closeAllConnections() closes with 1001, and the server continues", async () => {
    const { port, server } = await serveIt(new Recorder());
    const client = await RawClient.upgraded(port);
    server.closeAllConnections();
    expect(await leave(client)).toBe(1001);
    await RawClient.upgraded(port);
  });

  test("a drain in progress continues, with 1012 for all", async () => {
    const { port, server, sockets } = await serveIt(new Recorder());
    const clients = [await RawClient.upgraded(port), await RawClient.upgraded(port)];
    const drained = sockets.drain({ batch: 1, interval: 1 });
    const gone = closed(server);
    expect(await Promise.all(clients.map(leave))).toEqual([1012, 1012]);
    await Promise.all([drained, gone]);
  });

  test("destroying the sockets before close(), as http-terminator does, closes with 1001 and no connection is lost", async () => {
    const recorder = new Recorder();
    const { port, server } = await serveIt(recorder);
    const accepted = acceptedBy(server);
    const client = await RawClient.upgraded(port);
    accepted[0]!.destroy();
    const gone = closed(server);
    expect(await client.closeCode()).toBe(1001);
    expect(await client.ended).toBe("end");
    client.end();
    await gone;
    expect(await recorder.terminated).toBe("shutdown");
  });

  test("ending the sockets after close(), as stoppable does, closes with 1001", async () => {
    const recorder = new Recorder();
    const { port, server } = await serveIt(recorder);
    const accepted = acceptedBy(server);
    const client = await RawClient.upgraded(port);
    const gone = closed(server);
    accepted[0]!.end();
    expect(await leave(client)).toBe(1001);
    await gone;
    expect(await recorder.terminated).toBe("shutdown");
  });

  test("a socket destroyed with an error is reported as lost", async () => {
    const recorder = new Recorder();
    const { port, server } = await serveIt(recorder);
    const accepted = acceptedBy(server);
    await RawClient.upgraded(port);
    accepted[0]!.destroy(new Error("cable"));
    expect(await recorder.terminated).toEqual({ error: expect.any(ConnectionLost) });
  });

  test("a server that listens again accepts upgrades again", async () => {
    const { port, server } = await serveIt(new Recorder());
    const client = await RawClient.upgraded(port);
    const gone = closed(server);
    await leave(client);
    await gone;
    await once(server.listen(port, "127.0.0.1"), "listening");
    await RawClient.upgraded(port);
  });
});

test("close() followed by drain() closes all with 1012", async () => {
  const { port, server, sockets } = await serve((req) => upgrade(req, Echo));
  const client = await RawClient.upgraded(port);
  const gone = closed(server);
  const drained = sockets.drain();
  expect(await leave(client)).toBe(1012);
  await Promise.all([gone, drained]);
});

test("drain() followed by close() closes all with 1012", async () => {
  const { port, server, sockets } = await serve((req) => upgrade(req, Echo));
  const clients = [await RawClient.upgraded(port), await RawClient.upgraded(port)];
  const gone = sockets.drain({ batch: 1, interval: 1 }).then(() => closed(server));
  expect(await Promise.all(clients.map(leave))).toEqual([1012, 1012]);
  await gone;
});

test("an unresponsive client is aborted after closeTimeout, and then the server is closed", async () => {
  const clock = new ManualClock();
  const { port, server } = await serve((req) => upgrade(req, Echo), { clock, defaults: { closeTimeout: 200 } });
  const client = await RawClient.upgraded(port);
  const gone = closed(server);
  server.closeAllConnections();
  expect(await client.closeCode()).toBe(1001);
  clock.advance(200);
  await gone;
});

test("over TLS, connections are closed and their sockets destroyed", async () => {
  for (const destroys of [false, true]) {
    const recorder = new Recorder();
    const { port, server, accepted } = await serve((req) => upgrade(req, recorder, undefined), { tls });
    const client = RawClient.of(
      tlsConnect({
        port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        allowHalfOpen: true,
      } as object),
    );
    client.send(handshake());
    await client.accepted();
    if (destroys) accepted[0]!.destroy();
    const gone = closed(server);
    expect(await client.closeCode()).toBe(1001);
    client.send(closeFrame(1001)).end();
    await gone;
    expect(await recorder.terminated).toBe("shutdown");
  }
});

test("HTTP/2: the streams are closed with 1001, then their session ends", async () => {
  const recorder = new Recorder();
  const { url, server } = await serveHttp2((req) => upgrade(req, recorder, undefined));
  const session = await testHttp2(url);
  const client = RawClient.of<Duplex>(await openHttp2Stream(session));
  const gone = closed(server);
  expect(await leave(client)).toBe(1001);
  await gone;
  expect(await recorder.terminated).toBe("shutdown");
});

test("WebSocketServer.close() closes with 1001, and its HTTP server continues", async () => {
  const { port, webSocketServer } = await serveByWs((req, res) =>
    req.headers.upgrade ? upgrade(req, Echo) : res.end("on"),
  );
  const client = await RawClient.upgraded(port);
  const gone = closed(webSocketServer);
  expect(await leave(client)).toBe(1001);
  await gone;
  expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("on");
});

test("app.close() of Fastify closes with 1001", async () => {
  for (const forceCloseConnections of [false, true]) {
    const app = fastify({ forceCloseConnections });
    app.get("/", async (req) => upgrade(req, Echo));
    attach(app.server);
    await app.listen({ port: 0, host: "127.0.0.1" });
    const client = await RawClient.upgraded((app.server.address() as { port: number }).port);
    const gone = app.close();
    expect(await leave(client)).toBe(1001);
    await gone;
  }
});
