/** Tests of WebSockets over TLS. */
import { once } from "node:events";
import tls from "node:tls";
import { expect, test } from "vitest";
import { push, text, upgrade } from "websock-js";
import WebSocket from "ws";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { Echo, serve } from "../../support/node-server.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();
const certificate = selfSigned();

const openTls = async (port: number): Promise<RawClient> => {
  const socket = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  const client = RawClient.of(socket);
  await once(socket, "secureConnect");
  return client;
};

test("messages of every size over https", async () => {
  const { port } = await serve((req) => upgrade(req, Echo), { tls: certificate });
  const client = new WebSocket(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false });
  await once(client, "open");
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000, 9_999_999]) {
    const sent = Buffer.alloc(size, `${size}.`);
    client.send(sent);
    const [received, isBinary] = (await once(client, "message")) as [Buffer, boolean];
    expect(isBinary).toBe(true);
    expect(received.equals(sent)).toBe(true);
  }
  client.close(4000, "bye");
  const [code] = await once(client, "close");
  expect(code).toBe(4000);
});

test("messages of init are sent without waiting for data from the client", async () => {
  const handler = { ...Echo, init: () => push(text("welcome"), null) };
  const { port } = await serve((req) => upgrade(req, handler), { tls: certificate });
  const client = await openTls(port);
  await client.send(handshake()).accepted();
  expect(await client.text()).toBe("welcome");
});

test.each([
  ["at once", 0],
  ["after a while", 3],
])("frames behind the handshake are answered by a route that upgrades %s", async (_name, turns) => {
  const { port } = await serve(
    async (req) => {
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
      upgrade(req, Echo);
    },
    { tls: certificate },
  );
  const client = await openTls(port);
  await client.send(handshake(), frame(TEXT, "early")).accepted();
  expect(await client.text()).toBe("early");
});

test("an upgrade request for another protocol is served as an ordinary request", async () => {
  const { port } = await serve(
    async (req, res) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      res.end(`${req.method} ${body}`);
    },
    { tls: certificate },
  );
  const client = await openTls(port);
  const headers = { Host: "a", Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABk" };
  for (const body of ["one", "two"]) {
    client.send(requestOf("POST / HTTP/1.1", { ...headers, "Content-Length": `${body.length}` }), body);
    expect(await client.answer()).toMatchObject({ status: 200, body: `POST ${body}` });
  }
});
