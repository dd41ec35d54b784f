/** Tests that upgrades are published on Node's diagnostics channels for requests, once each. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2 from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { Echo } from "../../support/node-server.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly server: unknown;
}

/** Collects the messages published during a test, by channel and path. */
const listen = (...channels: readonly string[]): [name: string, exchange: Exchange][] => {
  const published: [string, Exchange][] = [];
  for (const name of channels) {
    const listener = (message: unknown): void => void published.push([name, message as Exchange]);
    subscribe(`http.server.${name}`, listener);
    onTestFinished(() => void unsubscribe(`http.server.${name}`, listener));
  }
  return published;
};

type Server = http.Server;

const serving = async (server: Server, engine: (server: Server) => unknown): Promise<number> => {
  engine(server);
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => connections.add(socket));
  onTestFinished(async () => {
    for (const socket of connections) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
};

describe.each([
  ["our own engine", (server: Server) => attach(server)],
  ["ws", (server: Server) => attachWs(new WebSocketServer({ server }))],
] as const)("%s", (_name, engine) => {
  test("publishes an upgrade, a refusal, and ordinary requests with and without an Upgrade header", async () => {
    const published = listen("request.start", "response.finish");
    const before: number[] = [];
    const server = http.createServer((request, response) => {
      before.push(
        published.filter(([name, exchange]) => name === "request.start" && exchange.request === request).length,
      );
      if (request.url === "/page") response.end("page");
      else upgrade(request, Echo);
    });
    const port = await serving(server, engine);

    const client = await RawClient.open(port);
    await client.send(handshake({}, "GET /socket HTTP/1.1")).accepted();
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
    for (const [path, headers] of [
      ["/socket", { "sec-websocket-version": "8" }],
      ["/page", { upgrade: "h2c" }],
      ["/page", { upgrade: undefined, connection: "close" }],
    ] as const) {
      const other = await RawClient.open(port);
      other.send(handshake(headers, `GET ${path} HTTP/1.1`));
      await other.head();
      other.end();
    }
    while (published.length < 8) await new Promise((resolve) => setImmediate(resolve));

    // Each of them was published before the app received the request.
    expect(before).toEqual([1, 1, 1, 1]);
    expect(published.map(([name]) => name).sort()).toEqual([
      ...Array.from({ length: 4 }, () => "request.start"),
      ...Array.from({ length: 4 }, () => "response.finish"),
    ]);
    for (const [, { request, response, socket, server: publisher }] of published) {
      expect(publisher).toBe(server);
      expect(response.req).toBe(request);
      expect(socket).toBe(request.socket);
    }
  });
});

test("a server of node:http2 with allowHTTP1 publishes them, too", async () => {
  const published = listen("request.start", "response.finish");
  const server = http2.createSecureServer({ ...selfSigned(), allowHTTP1: true }, (request) => upgrade(request, Echo));
  const port = await serving(server as unknown as Server, () => attach(server));
  const { connect } = await import("node:tls");
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
  await once(socket, "secureConnect");
  const client = RawClient.of(socket);
  await client.send(handshake()).accepted();
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  expect(published.map(([name, exchange]) => [name, exchange.server === server])).toEqual([
    ["request.start", true],
    ["response.finish", true],
  ]);
});
