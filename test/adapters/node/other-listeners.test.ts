/** Tests beside other `upgrade` listeners: each request must be handled by exactly one of them. */
import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { WebSocketServer } from "ws";
import { testHttp2, wholeAnswer } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { knockHttp2 } from "../../support/upgrade-client.ts";
import { listen, serveByWs } from "../../support/ws-server.ts";

failOnUncaught();

const isOurs = ({ url }: { readonly url?: string | undefined }): boolean => url === "/ours";

const open = async (port: number, path: string): Promise<RawClient> => {
  const client = await RawClient.open(port);
  await client.send(handshake({}, `GET ${path} HTTP/1.1`)).accepted();
  return client;
};

const echoWorks = async (client: RawClient): Promise<void> => {
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
};

/** Behaviour of other packages on upgrade requests that is known to have caused problems. */
const others: readonly (readonly [name: string, add: (server: http.Server, seen: unknown[]) => void])[] = [
  [
    "ws with a path",
    (server, seen) => {
      const sockets = new WebSocketServer({ server, path: "/theirs" });
      sockets.on("connection", (_socket, req) => void seen.push(req.url));
    },
  ],
  [
    "a listener that destroys what it does not know",
    (server, seen) =>
      void server.on("upgrade", (req: IncomingMessage, socket: Duplex) => {
        seen.push(req.url);
        if (req.url !== "/theirs") socket.destroy();
        else socket.write("HTTP/1.1 101 Theirs\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ");
        if (req.url === "/theirs") socket.write("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
      }),
  ],
];

describe.each(others)("%s", (_name, add) => {
  const added: [string, (server: http.Server, seen: unknown[]) => void][] = [
    ["added behind ours", add],
    [
      "put before ours",
      (server, seen) => {
        const ours = server.rawListeners("upgrade") as (() => void)[];
        server.removeAllListeners("upgrade");
        add(server, seen);
        for (const listener of ours) server.on("upgrade", listener);
      },
    ],
  ];
  test.each(added)("%s", async (_when, addIt) => {
    const seen: unknown[] = [];
    const { port, server, errors } = await serve((req) => upgrade(req, Echo), { only: isOurs });
    addIt(server, seen);
    const client = await open(port, "/ours");
    await echoWorks(client);
    await open(port, "/theirs");
    await echoWorks(client);
    expect([seen, errors]).toEqual([["/theirs"], []]);
  });

  test("added by the first ordinary request, while an upgrade request is pending", async () => {
    const seen: unknown[] = [];
    const gate = deferred();
    const { port, server } = await serve(
      async (req, res) => {
        if (req.url === "/page") {
          add(server, seen);
          res.end();
          return;
        }
        await gate.promise;
        upgrade(req, Echo);
      },
      { only: isOurs },
    );
    const early = (await RawClient.open(port)).send(handshake({}, "GET /ours HTTP/1.1"));
    await (await RawClient.open(port)).send(requestOf("GET /page HTTP/1.1", { Host: "a" })).answer();
    gate.resolve();
    await early.accepted();
    await echoWorks(early);
    await echoWorks(await open(port, "/ours"));
    await open(port, "/theirs");
    expect(seen).toEqual(["/theirs"]);
  });
});

test("`only` is called once for each request", async () => {
  const asked: unknown[] = [];
  const { port, server } = await serve((req, res) => (req.url === "/ours" ? upgrade(req, Echo) : res.end()), {
    only: (req) => asked.push(req.url) > 0 && isOurs(req),
  });
  await open(port, "/ours");
  const h2c = { Host: "a", Connection: "Upgrade", Upgrade: "h2c" };
  await (await RawClient.open(port)).send(requestOf("GET /plain HTTP/1.1", h2c)).answer();
  server.on("upgrade", (_req: IncomingMessage, socket: Duplex) => socket.end());
  await (await RawClient.open(port)).send(handshake({}, "GET /theirs HTTP/1.1")).rest();
  expect(asked).toEqual(["/ours", "/plain", "/theirs"]);
});

test("without `only`, the app gets all requests, and one report explains how to change that", async () => {
  const seen: unknown[] = [];
  const { port, server, errors } = await serve((req) => upgrade(req, Echo));
  server.on("upgrade", (req: IncomingMessage) => seen.push(req.url));
  for (let i = 0; i < 3; i++) await echoWorks(await open(port, "/any"));
  expect(seen).toEqual([]);
  expect(errors).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/other "upgrade" listeners.*only:/) }),
  ]);
});

test("tracing tools that wrap `emit`, before or after attach, see every upgrade once", async () => {
  const seen: unknown[] = [];
  const { emit } = http.Server.prototype;
  http.Server.prototype.emit = function (this: http.Server, ...args: Parameters<typeof emit>) {
    if ((args[0] as string) === "upgrade") seen.push(["before", (args[1] as IncomingMessage).url]);
    return emit.apply(this, args);
  } as typeof emit;
  onTestFinished(() => {
    http.Server.prototype.emit = emit;
  });
  const server = http.createServer((req) => upgrade(req, Echo));
  attach(server, { only: isOurs });
  server.on("upgrade", (_req: IncomingMessage, socket: Duplex) => socket.end("HTTP/1.1 400 \r\n\r\n"));
  const inner = server.emit;
  server.emit = function (this: http.Server, ...args: Parameters<typeof inner>) {
    if ((args[0] as string) === "upgrade") seen.push(["after", (args[1] as IncomingMessage).url]);
    return inner.apply(this, args);
  } as typeof inner;
  const port = await listen(server);
  await open(port, "/ours");
  await (await RawClient.open(port)).send(handshake({}, "GET /theirs HTTP/1.1")).rest();
  expect(seen).toEqual(
    ["/ours", "/theirs"].flatMap((url) => [
      ["after", url],
      ["before", url],
    ]),
  );
});

describe("websock-js/ws", () => {
  test("works beside another WebSocketServer and a listener that destroys unknown sockets", async () => {
    const { port, server, webSocketServer, errors } = await serveByWs((req) => upgrade(req, Echo), {
      ws: { path: "/ours" },
    });
    webSocketServer.on("connection", () => expect.unreachable());
    const destroyed: unknown[] = [];
    server.prependListener("upgrade", (req: IncomingMessage, socket: Duplex) => {
      destroyed.push(req.url);
      socket.destroy();
    });
    await echoWorks(await open(port, "/ours"));
    await (await RawClient.open(port)).send(handshake({}, "GET /theirs HTTP/1.1")).ended;
    expect([destroyed, errors]).toEqual([["/theirs"], []]);
  });

  test("does not count its own listener as another one; a second listener is reported once", async () => {
    const { port, server, errors } = await serveByWs((req) => upgrade(req, Echo));
    await echoWorks(await open(port, "/"));
    expect(errors).toEqual([]);
    server.on("upgrade", (_req: IncomingMessage, socket: Duplex) => socket.destroy());
    for (let i = 0; i < 2; i++) await echoWorks(await open(port, "/"));
    expect(errors).toHaveLength(1);
  });
});

describe("HTTP/2: `connect` listeners", () => {
  const theirs = (req: Http2ServerRequest, res: Http2ServerResponse): void => {
    res.writeHead(418).end(req.url);
  };

  test("get the requests that are not for the app, and no others", async () => {
    const seen: unknown[] = [];
    const { port, server, errors } = await serveHttp2((req) => upgrade(req, Echo), { only: isOurs });
    server.on("connect", (req: Http2ServerRequest, res: Http2ServerResponse) => {
      seen.push(req.url);
      theirs(req, res);
    });
    const { status, client } = await knockHttp2(port, "/ours");
    expect(status).toBe("open");
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
    expect((await knockHttp2(port, "/theirs")).status).toBe(418);
    expect([seen, errors]).toEqual([["/theirs"], []]);
  });

  test("get no WebSocket without `only`, and one report explains how to change that", async () => {
    const { port, url, server, errors } = await serveHttp2((req) => upgrade(req, Echo));
    server.on("connect", theirs);
    for (let i = 0; i < 2; i++) expect((await knockHttp2(port, "/")).status).toBe("open");
    expect(errors).toHaveLength(1);
    const session = await testHttp2(url);
    expect((await wholeAnswer(session, { ":protocol": "connect-udp" })).status).toBe(418);
  });

  test("tracing tools that wrap `emit` see the app's requests", async () => {
    const { port, server } = await serveHttp2((req) => upgrade(req, Echo));
    const connected = once(server, "seen");
    const inner = server.emit;
    server.emit = function (this: typeof server, ...args: Parameters<typeof inner>) {
      if ((args[0] as string) === "connect") inner.call(this, "seen" as never);
      return inner.apply(this, args);
    } as typeof inner;
    expect((await knockHttp2(port, "/")).status).toBe("open");
    await connected;
  });
});

describe("servers whose `emit` or requests are passed on", () => {
  const start = async (prepare: (server: http.Server) => void): Promise<number> => {
    const server = http.createServer((request) => upgrade(request, Echo));
    prepare(server);
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };

  test("an `emit` that was bound to the server before attach", async () => {
    const port = await start((server) => {
      server.emit = server.emit.bind(server);
      attach(server);
    });
    await echoWorks(await open(port, "/"));
  });

  test("a request that one attached server passes to another", async () => {
    const other = http.createServer((request) => upgrade(request, Echo));
    attach(other);
    const port = await start((server) => {
      attach(server, { only: () => false });
      server.on("upgrade", (...args) => void other.emit("upgrade", ...args));
    });
    await echoWorks(await open(port, "/"));
  });

  test("other listeners are counted even after all listeners were removed", async () => {
    const seen: unknown[] = [];
    const port = await start((server) => {
      attach(server, { only: isOurs });
      server.removeAllListeners("upgrade").on("upgrade", (request: IncomingMessage, socket: Duplex) => {
        seen.push(request.url);
        socket.end("HTTP/1.1 418 Theirs\r\n\r\n");
      });
    });
    const client = await RawClient.open(port);
    client.send(handshake({}, "GET /theirs HTTP/1.1"));
    await vi.waitUntil(() => seen.length > 0);
    client.socket.destroy();
    expect(seen).toEqual(["/theirs"]);
  });
});
