/** Tests that an error in one of the application's functions is reported once, and its request refused. */
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { UpgradeError, upgrade, type WebSockOptions } from "websock-js";
import { testHttp2, wholeAnswer } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { type Knocked, knockHttp1, knockHttp2 } from "../../support/upgrade-client.ts";
import { serveByWs } from "../../support/ws-server.ts";

failOnUncaught();

type Only = (request: { readonly url?: string | undefined }) => boolean;
type Serve = (
  only: Only | undefined,
  options?: WebSockOptions,
) => Promise<{ readonly port: number; readonly errors: unknown[] }>;
type Knock = (port: number, path: string, headers?: Record<string, string>) => Promise<Knocked>;

const hosts: readonly (readonly [name: string, serve: Serve, knock: Knock])[] = [
  ["HTTP/1.1", (only, options) => serve((req) => upgrade(req, Echo, undefined, options), { only: only! }), knockHttp1],
  [
    "HTTP/2",
    (only, options) => serveHttp2((req) => upgrade(req, Echo, undefined, options), { only: only! }),
    knockHttp2,
  ],
  ["ws", (only, options) => serveByWs((req) => upgrade(req, Echo, undefined, options), { only: only! }), knockHttp1],
];

const failure = new Error("the list is gone");
const throwing = (): never => {
  throw failure;
};
const rejecting = (async () => throwing()) as never;

const statusOf = async (knocked: Promise<Knocked>): Promise<unknown> => {
  const { status, client } = await knocked;
  client.socket.destroy();
  return status;
};

describe.each(hosts)("%s", (_name, serveIt, knock) => {
  test("if `only` throws for one request, that gets 400 and all others are served", async () => {
    const { port, errors } = await serveIt(({ url }) => new URL(url!, "http://host").pathname === "/socket");
    for (let i = 0; i < 3; i++) expect(await statusOf(knock(port, "//"))).toBe(400);
    expect(await statusOf(knock(port, "/socket"))).toBe("open");
    expect(errors).toEqual([expect.objectContaining({ cause: expect.any(TypeError) })]);
    expect((errors[0] as Error).message).toMatch(/^the function "only" threw for the request "\w+ \/\/"/);
  });

  test.each([
    ["resolves", (async () => true) as never],
    ["rejects", rejecting],
  ])("`only` returns a promise that %s: 400, not an upgrade", async (_what, only) => {
    const { port, errors } = await serveIt(only);
    expect(await statusOf(knock(port, "/"))).toBe(400);
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("returned a promise") })]);
  });

  test.each([
    ["throws", throwing],
    ["rejects", rejecting],
  ])("`origins` and `subprotocols` that %s: 500, early and late", async (_what, fails) => {
    for (const earlyValidateUpgrade of [true, false]) {
      for (const [options, headers] of [
        [{ origins: fails }, { Origin: "http://page.example" }],
        [{ subprotocols: fails }, { "Sec-WebSocket-Protocol": "a" }],
      ] as const) {
        const { port, errors } = await serveIt(undefined, { ...options, earlyValidateUpgrade });
        for (let i = 0; i < 2; i++) {
          const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
          const { status, body, client } = await knock(port, "/", lower as Record<string, string>);
          client.socket.destroy();
          expect(status).toBe(500);
          expect(body).not.toContain(failure.message);
        }
        expect(errors).toHaveLength(1);
      }
    }
  });

  test("an UpgradeError is the answer and is not reported", async () => {
    const { port, errors } = await serveIt(() => {
      throw new UpgradeError(403, "not from here");
    });
    const { status, body, client } = await knock(port, "/");
    client.socket.destroy();
    expect([status, body, errors]).toEqual([403, "not from here\n", []]);
  });
});

test("the number of reports is limited", async () => {
  const { port, errors } = await serve((req) => upgrade(req, Echo), {
    only: ({ url }) => {
      throw new Error(`what is ${url}?`);
    },
  });
  for (let i = 0; i < 100; i++) expect(await statusOf(knockHttp1(port, `/${i}`))).toBe(400);
  expect(errors).toHaveLength(32);
});

test("any value may be thrown", async () => {
  const { port, errors } = await serve((req) => upgrade(req, Echo), {
    only: () => {
      throw Object.create(null);
    },
  });
  expect(await statusOf(knockHttp1(port, "/"))).toBe(400);
  expect(errors).toHaveLength(1);
});

test("a request that can't become a WebSocket is served even if `only` throws", async () => {
  const { port } = await serve((_req, res) => res.end("served"), { only: throwing });
  const client = await RawClient.open(port);
  client.send(requestOf("GET / HTTP/1.1", { Host: "a", Connection: "Upgrade", Upgrade: "h2c" }));
  expect(await client.answer()).toMatchObject({ status: 200, body: "served" });
});

test("a request for which `only` throws reaches no listener", async () => {
  const seen: unknown[] = [];
  const { port, server } = await serve((req) => void seen.push(req.url), { only: throwing });
  server.on("upgrade", (req: IncomingMessage) => seen.push(req.url));
  const client = await RawClient.open(port);
  expect((await client.send(handshake()).answer()).status).toBe(400);
  expect(seen).toEqual([]);
});

test("`origins` of the defaults is also called for other CONNECTs of HTTP/2", async () => {
  const { url, errors } = await serveHttp2((req) => upgrade(req, Echo), {
    only: () => false,
    defaults: { origins: throwing },
  });
  const session = await testHttp2(url);
  expect((await wholeAnswer(session, { origin: "http://page.example" })).status).toBe(500);
  expect(errors).toHaveLength(1);
});
