/** Tests of valid and invalid handshakes over HTTP/1.1. */
import { describe, expect, test } from "vitest";
import { upgrade } from "websock-js";
import { Echo, type Served, serve } from "../../support/node-server.ts";
import { type Headers, handshake, KEY, RawClient } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const serveEcho = (): Promise<Served> => serve((req) => upgrade(req, Echo));

const isHealthy = async (port: number): Promise<void> => {
  const client = await RawClient.upgraded(port);
  expect(await client.send(frame(TEXT, "healthy")).text()).toBe("healthy");
};

type Case = [name: string, headers: Headers, status: number, expected?: Record<string, string>, line?: string];

describe("a handshake is refused and the server continues:", () => {
  test.each<Case>([
    ["a POST", { "Content-Length": "0" }, 405, { allow: "GET" }, "POST / HTTP/1.1"],
    ["a HEAD", {}, 405, { allow: "GET" }, "HEAD / HTTP/1.1"],
    ["HTTP/1.0", {}, 400, {}, "GET / HTTP/1.0"],
    ["no Host", { Host: undefined }, 400],
    ["no key", { "Sec-WebSocket-Key": undefined }, 400],
    ["an empty key", { "Sec-WebSocket-Key": "" }, 400],
    ["two keys", { "Sec-WebSocket-Key": [KEY, KEY] }, 400],
    ["a short key", { "Sec-WebSocket-Key": "c2hvcnQ=" }, 400],
    ["a long key", { "Sec-WebSocket-Key": `${KEY.slice(0, -2)}AA==` }, 400],
    ["a key that is no base64", { "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" }, 400],
    ["no version", { "Sec-WebSocket-Version": undefined }, 400, { "sec-websocket-version": "13" }],
    ["version 8", { "Sec-WebSocket-Version": "8" }, 426, { "sec-websocket-version": "13", upgrade: "websocket" }],
    ["two versions", { "Sec-WebSocket-Version": ["8", "13"] }, 426, { "sec-websocket-version": "13" }],
    ["an Upgrade to something else", { Upgrade: "websocket2" }, 426, { upgrade: "websocket" }],
    ["no Upgrade", { Upgrade: undefined }, 426, { upgrade: "websocket" }],
    ["a Connection without upgrade", { Connection: "keep-alive" }, 426, { upgrade: "websocket" }],
    ["a malformed subprotocol list", { "Sec-WebSocket-Protocol": "a b, c" }, 400],
    ["a subprotocol offered twice", { "Sec-WebSocket-Protocol": "a, a" }, 400],
    ["a foreign Origin", { Origin: "http://elsewhere.example" }, 403],
    ["another port's Origin", { Origin: "http://localhost:81" }, 403],
    ["the Origin null", { Origin: "null" }, 403],
    ["two Origins", { Origin: ["http://localhost", "http://localhost"] }, 403],
  ])("%s", async (_name, headers, status, expected = {}, line = "GET / HTTP/1.1") => {
    const { port, errors, sockets } = await serveEcho();
    const client = await RawClient.open(port);
    const head = await client.send(handshake(headers, line)).head();
    expect(head.status).toBe(status);
    expect(head.headers).toMatchObject(expected);
    expect(sockets.connections).toBe(0);
    await isHealthy(port);
    expect(errors).toEqual([]);
  });

  test("the 403 contains both values and a hint", async () => {
    const { port } = await serveEcho();
    const client = await RawClient.open(port);
    const { body } = await client.send(handshake({ Origin: "https://app.example" })).answer();
    expect(body).toContain("https://app.example");
    expect(body).toContain("localhost");
    expect(body).toContain("proxy");
    expect(body).toContain('"origins"');
  });

  test.each([
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["a header that is cut by a bare CR", handshake({ "X-A": "1\rX-B: 2" })],
    ["a header with a NUL", handshake({ "X-A": "1\x002" })],
    ["headers without an end", `GET / HTTP/1.1\r\n${"X-Filler: 1\r\n".repeat(5000)}`],
  ])("%s", async (_name, bytes) => {
    const { port } = await serveEcho();
    const client = await RawClient.open(port);
    client.send(bytes);
    expect((await client.head()).status).toBeGreaterThanOrEqual(400);
    await isHealthy(port);
  });
});

describe("a handshake is accepted with", () => {
  test.each<[string, Headers, string?]>([
    ["Connection as a list", { Connection: "keep-alive, Upgrade" }],
    ["Connection in several headers", { Connection: ["keep-alive", "Upgrade"] }],
    ["other letter cases", { Connection: "uPGRADE", Upgrade: "WebSocket" }],
    ["header names in other letter cases", { "Sec-WebSocket-Key": undefined, "SEC-WEBSOCKET-KEY": KEY }],
    ["Upgrade as a list", { Upgrade: "h2c, websocket" }],
    ["empty list elements", { Connection: " , Upgrade ,", Upgrade: ",websocket" }],
    ["a key with all of base64's letters", { "Sec-WebSocket-Key": KEY, "X-Key": "+/+/" }],
    ["the Origin of its own host", { Origin: "http://localhost" }],
    ["the Origin of its own host over TLS", { Origin: "https://localhost" }],
    ["the Origin of its own host and port", { Host: "localhost:8080", Origin: "http://localhost:8080" }],
    ["an offer of extensions that we lack", { "Sec-WebSocket-Extensions": "permessage-deflate; foo=1, x" }],
    ["a target in absolute form", {}, "GET http://localhost/ HTTP/1.1"],
  ])("%s", async (_name, headers, line) => {
    const client = await RawClient.open((await serveEcho()).port);
    const head = await client.send(handshake(headers, line)).accepted();
    expect(head.headers).not.toHaveProperty("sec-websocket-extensions");
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  });

  test("every byte in a chunk of its own", async () => {
    const client = await RawClient.open((await serveEcho()).port);
    await client.trickle(Buffer.concat([Buffer.from(handshake()), frame(TEXT, "slowly")]));
    await client.accepted();
    expect(await client.text()).toBe("slowly");
  });
});

describe("origins", () => {
  test.each<[string, Parameters<typeof upgrade>[3], string, boolean]>([
    ["* allows all", { origins: "*" }, "http://elsewhere.example", true],
    ["* allows null", { origins: "*" }, "null", true],
    ["a list has it", { origins: ["https://app.example"] }, "https://app.example", true],
    ["a list has it in other letters", { origins: ["https://App.example"] }, "https://app.example", true],
    ["a list lacks it", { origins: ["https://app.example"] }, "https://app.example.evil", false],
    ["a list replaces the own host", { origins: ["https://app.example"] }, "http://localhost", false],
    ["a pattern matches", { origins: [/^https:\/\/\w+\.app\.example$/] }, "https://a.app.example", true],
    ["a pattern with state matches every time", { origins: [/app/g] }, "https://a.app.example", true],
    ["a pattern does not match", { origins: [/^https:/] }, "http://a.app.example", false],
    ["a function allows it", { origins: (origin) => origin === "x:y" }, "x:y", true],
    ["a function does not", { origins: (_origin, request) => request.url !== "/" }, "http://localhost", false],
  ])("%s", async (_name, options, origin, allowed) => {
    const { port } = await serve((req) => upgrade(req, Echo, undefined, options));
    for (let i = 0; i < 2; i++) {
      const client = await RawClient.open(port);
      expect((await client.send(handshake({ Origin: origin })).head()).status).toBe(allowed ? 101 : 403);
    }
  });
});
