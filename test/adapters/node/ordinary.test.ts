/** Tests of upgrade requests that are handled as ordinary requests, and of pipelined requests. */
import { once } from "node:events";
import type { RequestListener, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { upgrade } from "websock-js";
import { Echo, Recorder, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, KEY, RawClient, requestOf } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

/** Answers with the request that it received. */
const mirror: RequestListener = async (req, res) => {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  res.end(`${req.method} ${req.url} ${body.length > 50 ? body.length : body}`);
};

const h2c = { Host: "a", Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABk" };

describe("an upgrade request for another protocol is handled as an ordinary request", () => {
  test("a POST with `Upgrade: h2c` keeps its body, and the connection stays open", async () => {
    const { port } = await serve((req, res) => (req.url === "/ws" ? upgrade(req, Echo) : mirror(req, res)));
    const client = await RawClient.open(port);
    for (const body of ["first", "second"]) {
      client.send(requestOf("POST /h2c HTTP/1.1", { ...h2c, "Content-Length": `${body.length}` }), body);
      expect(await client.answer()).toMatchObject({ status: 200, body: `POST /h2c ${body}` });
    }
    await client.send(requestOf("GET /plain HTTP/1.1", { Host: "a" })).answer();
    await client.send(handshake({}, "GET /ws HTTP/1.1")).accepted();
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  });

  test("with a large body in several chunks", async () => {
    const { port } = await serve(mirror);
    const client = await RawClient.open(port);
    const piece = Buffer.alloc(65_536, "x");
    client.send(requestOf("POST /large HTTP/1.1", { ...h2c, "Content-Length": `${piece.length * 64}` }));
    for (let i = 0; i < 64; i++) client.send(piece);
    expect((await client.answer()).body).toBe(`POST /large ${piece.length * 64}`);
  });

  test("with a chunked body", async () => {
    const { port } = await serve(mirror);
    const client = await RawClient.open(port);
    client.send(requestOf("PUT /chunked HTTP/1.1", { ...h2c, "Transfer-Encoding": "chunked" }), "5\r\nhel");
    client.send("lo\r\n0\r\n\r\n");
    expect((await client.answer()).body).toBe("PUT /chunked hello");
  });

  test("with Proxy-Connection, which Node's parser treats like Connection", async () => {
    const { port } = await serve(mirror);
    const client = await RawClient.open(port);
    for (const upgrade of ["websocket", "h2c"]) {
      client.send(
        requestOf("POST / HTTP/1.1", { Host: "a", "Proxy-Connection": "keep-alive, Upgrade", Upgrade: upgrade }),
      );
      expect(await client.answer()).toMatchObject({ status: 200, body: "POST / " });
    }
  });

  test.each([
    ["Connection: Upgrade", "Upgrade"],
    ["letter case and spaces", "keep-alive ,  uPgRaDe\t,x"],
    ["several of them", "upgrade, Upgrade,upgrade"],
  ])("%s", async (_name, connection) => {
    const { port } = await serve((req, res) => res.end(String(req.headers.upgrade)));
    const client = await RawClient.open(port);
    client.send(requestOf("GET / HTTP/1.1", { Host: "a", Connection: connection, Upgrade: "foo/2" }));
    expect((await client.answer()).body).toBe("foo/2");
  });

  test("with the server's keep-alive timeout", async () => {
    const { port, server, accepted } = await serve(mirror);
    server.keepAliveTimeout = 60_000;
    const client = await RawClient.open(port);
    client.send(requestOf("POST / HTTP/1.1", { ...h2c, "Content-Length": "0" }));
    await client.answer();
    expect(accepted[0]!.timeout).toBeGreaterThanOrEqual(60_000);
    expect(accepted).toHaveLength(1);
  });
});

describe("an upgrade request with a body", () => {
  const routes: RequestListener = (req, res) => (req.url === "/ws" ? upgrade(req, Echo) : mirror(req, res));
  /** Can be parsed as a request as well as a frame. */
  const smuggled = requestOf("GET /smuggled HTTP/1.1", { Host: "a" });

  test.each([
    ["Content-Length", { "Content-Length": `${smuggled.length}` }, smuggled],
    ["chunks", { "Transfer-Encoding": "chunked" }, `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`],
  ])("by %s is refused with 400, its body neither frames nor a request", async (_name, headers, body) => {
    const urls: unknown[] = [];
    const { port } = await serve((req, res) => {
      urls.push(req.url);
      routes(req, res);
    });
    const client = await RawClient.open(port);
    client.send(handshake(headers, "GET /ws HTTP/1.1"), body);
    expect(await client.answer()).toMatchObject({ status: 400, body: expect.stringContaining("body") });
    client.send(requestOf("GET /next HTTP/1.1", { Host: "a" }));
    expect(await client.answer()).toMatchObject({ status: 200, body: "GET /next " });
    expect(urls).toEqual(["/ws", "/next"]);
  });

  test("of length 0 is accepted", async () => {
    const { port } = await serve(routes);
    const client = await RawClient.open(port);
    await client.send(handshake({ "Content-Length": "0" }, "GET /ws HTTP/1.1")).accepted();
  });

  test("as a POST gets 405, and the connection can be used for further requests", async () => {
    const { port } = await serve(routes);
    const client = await RawClient.open(port);
    const post = handshake({ "Content-Length": `${smuggled.length}` }, "POST /ws HTTP/1.1");
    expect(await client.send(post, smuggled).answer()).toMatchObject({ status: 405, headers: { allow: "GET" } });
    client.send(requestOf("GET /next HTTP/1.1", { Host: "a" }));
    expect((await client.answer()).body).toBe("GET /next ");
  });

  test("with two different lengths never reaches the app", async () => {
    const urls: unknown[] = [];
    const { port } = await serve((req, res) => {
      urls.push(req.url);
      routes(req, res);
    });
    const client = await RawClient.open(port);
    client.send(handshake({ "Content-Length": "5", "Transfer-Encoding": "chunked" }, "GET /ws HTTP/1.1"), smuggled);
    expect((await client.answer()).status).toBe(400);
    expect(urls).toEqual([]);
  });

  test("is refused if there are more headers than Node reads", async () => {
    const urls: unknown[] = [];
    const { port, server } = await serve((req, res) => {
      urls.push(req.url);
      routes(req, res);
    });
    server.maxHeadersCount = 20;
    const fill = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`X-${i}`, "1"]));
    const client = await RawClient.open(port);
    client.send(handshake({ ...fill, "Content-Length": `${smuggled.length}` }, "GET /ws HTTP/1.1"), smuggled);
    expect((await client.answer()).status).toBeGreaterThanOrEqual(400);
    expect(urls).not.toContain("/smuggled");
  });
});

describe("bytes after a refused upgrade are never parsed as a request", () => {
  test.each([
    ["refused by upgrade()", handshake({ "Sec-WebSocket-Key": "short" })],
    ["refused by the route", handshake({}, "GET /refused HTTP/1.1")],
  ])("%s", async (_name, request) => {
    const urls: unknown[] = [];
    const { port } = await serve((req, res) => {
      urls.push(req.url);
      if (req.url === "/refused") res.writeHead(403).end();
      else upgrade(req, Echo);
    });
    const client = await RawClient.open(port);
    client.send(request, requestOf("GET /smuggled HTTP/1.1", { Host: "a" }));
    expect((await client.answer()).status).toBeGreaterThanOrEqual(400);
    client.send(requestOf("GET /smuggled HTTP/1.1", { Host: "a" }));
    expect((await client.rest()).toString()).toBe("");
    expect(urls).toHaveLength(1);
  });
});

describe("requests pipelined before an upgrade", () => {
  /** Delays its answers, and releases them in the reverse order of the requests. */
  const holding = (count: number) => {
    const held: ServerResponse[] = [];
    const all = deferred();
    const listener: RequestListener = (req, res) => {
      if (req.url === "/ws") return upgrade(req, Echo);
      if (req.method === "POST") return void mirror(req, res);
      res.setHeader("X-Url", req.url!);
      if (held.push(res) === count) all.resolve();
    };
    return { listener, held, all: all.promise };
  };

  test("are answered first, in order", async () => {
    const { listener, held, all } = holding(3);
    const { port } = await serve(listener);
    const client = await RawClient.open(port);
    const plain = ["/1", "/2", "/3"].map((url) => requestOf(`GET ${url} HTTP/1.1`, { Host: "a" }));
    client.send(...plain, handshake({}, "GET /ws HTTP/1.1"), frame(TEXT, "early"));
    await all;
    for (const res of held.reverse()) res.end("done");
    for (const url of ["/1", "/2", "/3"]) {
      expect(await client.answer()).toMatchObject({ status: 200, headers: { "x-url": url } });
    }
    await client.accepted();
    expect(await client.text()).toBe("early");
  });

  test("are also answered first if an ordinary request with an Upgrade header follows", async () => {
    const { listener, held, all } = holding(1);
    const { port, server, accepted } = await serve(listener);
    server.keepAliveTimeout = 50;
    const client = await RawClient.open(port);
    const post = requestOf("POST /h2c HTTP/1.1", { ...h2c, "Content-Length": "4" });
    client.send(requestOf("GET /1 HTTP/1.1", { Host: "a" }), post, "bo");
    await all;
    held[0]!.end("done");
    expect((await client.answer()).headers["x-url"]).toBe("/1");
    expect(accepted[0]!.timeout ?? 0).toBe(0);
    client.send("dy");
    expect((await client.answer()).body).toBe("POST /h2c body");
  });

  test("include a large streamed response, which is sent completely", async () => {
    const chunk = Buffer.alloc(65_536, "x");
    const { port } = await serve(async (req, res) => {
      if (req.url === "/ws") return void upgrade(req, Echo);
      res.setHeader("Content-Length", chunk.length * 200);
      for (let i = 0; i < 200; i++) if (!res.write(chunk)) await once(res, "drain");
      res.end();
    });
    const client = await RawClient.open(port);
    client.send(requestOf("GET /large HTTP/1.1", { Host: "a" }), handshake({}, "GET /ws HTTP/1.1"));
    expect((await client.answer()).body.length).toBe(chunk.length * 200);
    await client.accepted();
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  });

  test("end the connection if one of their responses closes it", async () => {
    const recorder = new Recorder();
    const urls: unknown[] = [];
    const { port } = await serve((req, res) => {
      urls.push(req.url);
      if (req.url === "/ws") upgrade(req, recorder);
      else setImmediate(() => res.writeHead(200, { Connection: "close" }).end("last"));
    });
    const client = await RawClient.open(port);
    client.send(requestOf("GET /1 HTTP/1.1", { Host: "a" }), handshake({}, "GET /ws HTTP/1.1"));
    expect((await client.answer()).body).toBe("last");
    expect((await client.rest()).toString()).toBe("");
    expect(urls).toEqual(["/1"]);
    expect(recorder.inits).toEqual([]);
  });
});

describe("only", () => {
  const mine = (req: { url?: string | undefined }): boolean => req.url === "/ws";

  test("passes other requests to the server's other upgrade listeners", async () => {
    const requests: unknown[] = [];
    const { port, server } = await serve(
      (req) => {
        requests.push(req.url);
        upgrade(req, Echo);
      },
      { only: mine },
    );
    server.on("upgrade", (req, socket: Duplex) => {
      if (!mine(req)) socket.end("HTTP/1.1 101 Mine\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi");
    });
    const other = (await RawClient.open(port)).send(handshake({}, "GET /hmr HTTP/1.1"));
    expect(await other.head()).toMatchObject({ status: 101, head: expect.stringContaining("Mine") });
    expect((await other.rest()).toString()).toBe("hi");
    await (await RawClient.open(port)).send(handshake({}, "GET /ws HTTP/1.1")).accepted();
    expect(requests).toEqual(["/ws"]);
  });

  test("makes other requests ordinary ones if there are no other listeners, and upgrade() refuses them", async () => {
    const { port } = await serve((req, res) => (req.url === "/plain" ? mirror(req, res) : upgrade(req, Echo)), {
      only: mine,
    });
    const client = await RawClient.open(port);
    client.send(handshake({}, "GET /plain HTTP/1.1"));
    expect(await client.answer()).toMatchObject({ status: 200, body: "GET /plain " });
    client.send(handshake({}, "GET /other HTTP/1.1"));
    expect((await client.answer()).status).toBe(426);
    await client.send(handshake({}, "GET /ws HTTP/1.1")).accepted();
    expect(KEY).toHaveLength(24);
  });
});
