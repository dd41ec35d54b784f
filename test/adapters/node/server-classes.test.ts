/** Tests that classes and options passed to `createServer` also apply to upgrade requests. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import { connect } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { Echo, serve } from "../../support/node-server.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { listen } from "../../support/ws-server.ts";

failOnUncaught();

class MyRequest extends http.IncomingMessage {
  get user(): string | undefined {
    return this.headers.cookie;
  }
}

class MyResponse<Request extends http.IncomingMessage = http.IncomingMessage> extends http.ServerResponse<Request> {
  json(value: unknown): void {
    this.setHeader("Content-Type", "application/json").end(JSON.stringify(value));
  }
}

const listener = ((req: MyRequest, res: MyResponse): void => {
  if (req.user !== undefined) {
    upgrade(req, Echo);
    return;
  }
  res.statusCode = 401;
  res.json({ error: "who are you?" });
}) as never;

const certificate = selfSigned();

/** Sends an HTTP/1.1 request to a TLS server of either kind. */
const overTls = async (port: number): Promise<RawClient> => {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
  await once(socket, "secureConnect");
  return RawClient.of(socket);
};

const classes = { IncomingMessage: MyRequest, ServerResponse: MyResponse } as never;

test.each([
  ["websock-js/node", attach],
  ["websock-js/ws", (server: http.Server) => attachWs(new WebSocketServer({ server }))],
])("the classes of http.createServer, with %s", async (_name, attachIt) => {
  const server = http.createServer(classes, listener);
  attachIt(server);
  const port = await listen(server);
  const stranger = await RawClient.open(port);
  const answer = await stranger.send(handshake()).answer();
  expect([answer.status, answer.body]).toEqual([401, '{"error":"who are you?"}']);
  const client = await RawClient.upgraded(port, { Cookie: "ann" });
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
});

const secure = async (prepare: (server: http2.Http2SecureServer) => void = () => {}): Promise<number> => {
  const server = http2.createSecureServer(
    {
      ...certificate,
      allowHTTP1: true,
      Http1IncomingMessage: MyRequest as never,
      Http1ServerResponse: MyResponse as never,
    },
    listener,
  );
  prepare(server);
  attach(server);
  const sockets = new Set<{ destroy(): unknown }>();
  server.on("secureConnection", (socket) => sockets.add(socket));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve as () => void));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as { port: number }).port;
};

test.each([
  ["as it is", () => {}],
  // This version of Node calls it anyway; others ignore it.
  [
    "without shouldUpgradeCallback, as in Node 22.21.0",
    (server: object) => void Object.assign(server, { shouldUpgradeCallback: undefined }),
  ],
])("HTTP/1.1 on a server of node:http2, %s", async (_name, prepare) => {
  const port = await secure(prepare);
  const stranger = await overTls(port);
  const answer = await stranger.send(handshake()).answer();
  expect([answer.status, answer.body]).toEqual([401, '{"error":"who are you?"}']);
  const client = await overTls(port);
  await client.send(handshake({ Cookie: "ann" })).accepted();
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  const h2c = await overTls(port);
  h2c.send(requestOf("GET / HTTP/1.1", { Host: "a", Connection: "Upgrade", Upgrade: "h2c" }));
  expect((await h2c.answer()).status).toBe(401);
});

test.each([
  ["in clear", undefined],
  ["over TLS", certificate],
])("one connection is one `connection` event, however many requests ask for h2c, %s", async (_name, tls) => {
  const { port, server } = await serve((_req, res) => res.end("ok"), tls === undefined ? {} : { tls });
  const events: string[] = [];
  for (const event of ["connection", "secureConnection"]) server.on(event, () => void events.push(event));
  const client = tls === undefined ? await RawClient.open(port) : await overTls(port);
  for (let i = 0; i < 20; i++) {
    client.send(requestOf(`GET /${i} HTTP/1.1`, { Host: "a", Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c" }));
    expect(await client.answer()).toMatchObject({ status: 200, body: "ok" });
  }
  expect(events).toEqual(tls === undefined ? ["connection"] : ["connection", "secureConnection"]);
});
