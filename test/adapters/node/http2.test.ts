/** Tests of WebSockets over HTTP/2: handshakes, other requests of the server, and the end of connections. */
import { once } from "node:events";
import http2 from "node:http2";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { type ConnectionInfo, ConnectionLost, push, stop, text, UpgradeError, upgrade } from "websock-js";
import WebSocket from "ws";
import { selfSigned } from "../../../scripts/certificate.mjs";
import { openHttp2Stream, request, resetStream, testHttp2, wholeAnswer } from "../../support/http2-client.ts";
import { serveHttp2 } from "../../support/http2-server.ts";
import { Echo, Recorder } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { KEY, RawClient } from "../../support/raw-client.ts";
import { closeFrame, frame, TEXT } from "../../support/raw-frames.ts";
import {
  ACK,
  connectFields,
  DATA,
  END_HEADERS,
  END_STREAM,
  frameOf,
  HEADERS,
  PING,
  RawHttp2,
  RST_STREAM,
} from "../../support/raw-http2.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();
const certificate = selfSigned();

type Stream = Awaited<ReturnType<typeof openHttp2Stream>>;
const clientOf = (stream: Duplex): RawClient<Duplex> => RawClient.of<Duplex>(stream);

/** Expects that frames on the stream are echoed. */
const echoWorks = async (stream: Stream): Promise<void> => {
  expect(await clientOf(stream).send(frame(TEXT, "hello")).text()).toBe("hello");
};

describe.each([
  ["in clear", undefined],
  ["over TLS", certificate],
])("an extended CONNECT goes through the app, %s", (_name, tls) => {
  test("as a GET: middleware sees a working request and response", async () => {
    const seen: unknown[] = [];
    const { url } = await serveHttp2(
      async (req, res) => {
        seen.push([req.method, req.url, req.httpVersion, req.headers[":protocol"]]);
        const user = /user=(\w+)/.exec(req.headers.cookie ?? "")?.[1];
        res.setHeader("Set-Cookie", ["seen=1; Path=/", "id=7"]);
        res.setHeader("X-Powered-By", "tests");
        res.setHeader("Content-Type", "text/html");
        await null;
        if (user === undefined) res.writeHead(401, { "www-authenticate": "Cookie" }).end("who are you?");
        else upgrade(req, Echo, user);
      },
      tls === undefined ? {} : { tls },
    );
    const session = await testHttp2(url);
    const stream = await openHttp2Stream(session, { ":path": "/room?a=1", cookie: "user=ann" });
    expect(stream.answer).toMatchObject({ "set-cookie": ["seen=1; Path=/", "id=7"], "x-powered-by": "tests" });
    expect(stream.answer).not.toHaveProperty("content-type");
    expect(stream.answer).not.toHaveProperty("sec-websocket-accept");
    await echoWorks(stream);
    expect(await wholeAnswer(session)).toMatchObject({
      status: 401,
      body: "who are you?",
      headers: { "www-authenticate": "Cookie", "set-cookie": ["seen=1; Path=/", "id=7"] },
    });
    expect(seen).toEqual([
      ["GET", "/room?a=1", "2.0", "websocket"],
      ["GET", "/", "2.0", "websocket"],
    ]);
  });
});

describe("the answer", () => {
  test("has sec-websocket-accept where the client sent a key, the subprotocol, and the option's headers", async () => {
    const { url } = await serveHttp2((req) =>
      upgrade(req, Echo, undefined, { subprotocols: ["b"], headers: { "X-Extra": "1", "Set-Cookie": ["a=1", "b=2"] } }),
    );
    const session = await testHttp2(url);
    const { answer } = await openHttp2Stream(session, {
      "sec-websocket-key": KEY,
      "sec-websocket-protocol": "a, b",
    });
    expect(answer).toMatchObject({
      ":status": 200,
      "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      "sec-websocket-protocol": "b",
      "x-extra": "1",
      "set-cookie": ["a=1", "b=2"],
    });
  });

  test("arrives together with the messages of init, and self.connection has the facts of the handshake", async () => {
    const infos: ConnectionInfo[] = [];
    const handler: typeof Echo = {
      ...Echo,
      init: (_arg, self) => {
        infos.push(self.connection);
        return push(text("welcome"), null);
      },
    };
    const { url } = await serveHttp2((req) => upgrade(req, handler));
    const session = await testHttp2(url);
    expect(await clientOf(await openHttp2Stream(session)).text()).toBe("welcome");
    expect(infos).toMatchObject([
      { httpVersion: "2.0", method: "CONNECT", remoteAddress: "127.0.0.1", remotePort: session.socket.localPort },
    ]);
  });
});

describe("an invalid request gets the right status, and the session stays open", () => {
  const cases: [string, Record<string, string | undefined>, number, Record<string, string>][] = [
    [
      "CONNECT without :protocol",
      { ":protocol": undefined, ":scheme": undefined, ":path": undefined },
      405,
      { allow: "GET" },
    ],
    ["another protocol", { ":protocol": "connect-udp" }, 501, {}],
    ["no version", { "sec-websocket-version": undefined }, 400, { "sec-websocket-version": "13" }],
    ["another version", { "sec-websocket-version": "8" }, 426, { "sec-websocket-version": "13" }],
    ["a body", { "content-length": "5" }, 400, {}],
    ["a subprotocol twice", { "sec-websocket-protocol": "a, a" }, 400, {}],
    ["another origin", { origin: "https://elsewhere.example" }, 403, {}],
    ["an ordinary GET", { ":method": "GET", ":protocol": undefined }, 426, { "sec-websocket-version": "13" }],
    ["a POST", { ":method": "POST", ":protocol": undefined }, 405, { allow: "CONNECT" }],
  ];
  test.each(cases)("%s", async (_name, headers, status, answered) => {
    const { url, errors } = await serveHttp2((req) => upgrade(req, Echo));
    const session = await testHttp2(url);
    for (let i = 0; i < 2; i++) {
      const answer = await wholeAnswer(session, headers, headers[":method"] === "GET");
      expect(answer).toMatchObject({ status, headers: answered });
      expect(answer.body).not.toBe("");
      for (const name of ["upgrade", "connection"]) expect(answer.headers).not.toHaveProperty(name);
    }
    await echoWorks(await openHttp2Stream(session));
    expect(errors).toEqual([]);
  });

  test("a stream that ended with its request", async () => {
    const { url } = await serveHttp2((req) => upgrade(req, Echo));
    const session = await testHttp2(url);
    expect((await wholeAnswer(session, {}, true)).status).toBe(400);
    await echoWorks(await openHttp2Stream(session));
  });

  test("a page of the same origin is allowed", async () => {
    const { url } = await serveHttp2((req) => upgrade(req, Echo));
    const session = await testHttp2(url);
    await echoWorks(await openHttp2Stream(session, { ":authority": "example.com", origin: "https://example.com" }));
  });

  test("headers of an HTTP/1.1 upgrade are a stream error (RFC 9113 §8.2.2)", async () => {
    const urls: unknown[] = [];
    const { port } = await serveHttp2((req) => {
      urls.push(req.url);
      upgrade(req, Echo);
    });
    const client = await RawHttp2.open(port);
    const get = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/"],
      [":authority", "localhost"],
    ] as const;
    client.request(1, [...get, ["connection", "Upgrade"], ["upgrade", "websocket"], ["sec-websocket-version", "13"]]);
    expect(await client.frame()).toMatchObject({ type: RST_STREAM, stream: 1, payload: Buffer.from([0, 0, 0, 1]) });
    client.request(3, [
      [":method", "CONNECT"],
      [":protocol", "websocket"],
      ...get.slice(1),
      ["sec-websocket-version", "13"],
    ]);
    expect(await client.frame()).toMatchObject({ type: HEADERS, stream: 3 });
    expect(urls).toEqual(["/"]);
  });

  test("earlyValidateUpgrade: false answers instead of throwing", async () => {
    const { url } = await serveHttp2((req) => upgrade(req, Echo, undefined, { earlyValidateUpgrade: false }));
    const session = await testHttp2(url);
    expect(await wholeAnswer(session, { "sec-websocket-version": "8" })).toMatchObject({ status: 426 });
    await echoWorks(await openHttp2Stream(session));
  });

  test("an UpgradeError of the application, thrown by an async listener", async () => {
    const { url } = await serveHttp2(async () => {
      throw new UpgradeError(403, "not you", { "x-why": "because" });
    });
    const session = await testHttp2(url);
    expect(await wholeAnswer(session)).toMatchObject({
      status: 403,
      body: "not you\n",
      headers: { "x-why": "because" },
    });
  });
});

describe("a server that also serves other requests", () => {
  test("passes every other CONNECT to its connect listeners", async () => {
    const { url, server } = await serveHttp2((req) => upgrade(req, Echo));
    server.on("connect", (req, res) => {
      res.writeHead(200, { "x-protocol": String(req.headers[":protocol"]) });
      res.end();
    });
    const session = await testHttp2(url);
    const plain = await wholeAnswer(session, { ":protocol": undefined, ":scheme": undefined, ":path": undefined });
    expect(plain).toMatchObject({ status: 200, headers: { "x-protocol": "undefined" } });
    expect((await wholeAnswer(session, { ":protocol": "masque" })).headers["x-protocol"]).toBe("masque");
    await echoWorks(await openHttp2Stream(session));
  });

  test("with `only`, other requests go to the connect listeners or are refused", async () => {
    const { url, server } = await serveHttp2((req) => upgrade(req, Echo), { only: (req) => req.url === "/mine" });
    const session = await testHttp2(url);
    await echoWorks(await openHttp2Stream(session, { ":path": "/mine" }));
    expect((await wholeAnswer(session)).status).toBe(405);
    server.on("connect", (_req, res) => res.writeHead(299).end());
    expect((await wholeAnswer(session)).status).toBe(299);
  });

  const pages: [string, (req: http2.Http2ServerRequest, res: http2.Http2ServerResponse) => unknown][] = [
    ["ends", (_req, res) => res.end("page")],
    ["writes its head", (_req, res) => res.writeHead(206, "", { "content-length": 4 }).end("page")],
    [
      "writes in pieces",
      (_req, res) => {
        res.write("pa");
        res.end("ge");
      },
    ],
    ["waits for the end of the request", (req, res) => req.resume().once("end", () => res.end("page"))],
    [
      "has its own way with the stream",
      (_req, { stream }) => {
        stream.respond();
        stream.end("page");
      },
    ],
  ];
  test.each(pages)(
    "a page that %s opens no WebSocket: 405, where 200 would (RFC 9110 §9.3.6)",
    async (_name, answer) => {
      const statuses: number[] = [];
      const { url } = await serveHttp2((req, res) => {
        if (req.url === "/echo") return upgrade(req, Echo);
        res.on("finish", () => statuses.push(res.statusCode));
        return answer(req, res);
      });
      const session = await testHttp2(url);
      expect(await wholeAnswer(session)).toMatchObject({ status: 405, body: "page", headers: { allow: "GET" } });
      await echoWorks(await openHttp2Stream(session, { ":path": "/echo" }));
      const page = await wholeAnswer(session, { ":method": "GET", ":protocol": undefined }, true);
      expect([200, 206]).toContain(page.status);
      expect(statuses[0]).toBe(405);
    },
  );

  test("serves HTTP/1.1 and HTTP/2 clients on one port", async () => {
    const { url, port } = await serveHttp2(
      (req, res) => (req.url === "/plain" ? res.end("page") : upgrade(req, Echo)),
      {
        tls: { ...certificate, allowHTTP1: true },
      },
    );
    const older = new WebSocket(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false });
    await once(older, "open");
    const session = await testHttp2(url);
    const stream = await openHttp2Stream(session);
    older.send("over HTTP/1.1");
    expect(String((await once(older, "message"))[0])).toBe("over HTTP/1.1");
    await echoWorks(stream);
    const plain = await wholeAnswer(session, { ":method": "GET", ":protocol": undefined, ":path": "/plain" }, true);
    expect(plain.body).toBe("page");
    older.close();
    await once(older, "close");
  });

  test("works without allowHTTP1", async () => {
    const { url } = await serveHttp2((req) => upgrade(req, Echo), { tls: certificate });
    await echoWorks(await openHttp2Stream(await testHttp2(url)));
  });

  test("calls every request listener", async () => {
    const seen: string[] = [];
    const { url } = await serveHttp2([
      (req) => seen.push(req.method),
      (req) => upgrade(req, Echo),
      (_req, res) => {
        seen.push(`${res.headersSent}`);
        res.writeHead(404);
        res.end("late");
      },
    ]);
    await echoWorks(await openHttp2Stream(await testHttp2(url)));
    expect(seen).toEqual(["GET", "true"]);
  });
});

describe("when others use the request and the response", () => {
  test("a body reads as empty, and reading it loses no frames", async () => {
    const { url } = await serveHttp2(async (req) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      req.resume();
      await new Promise((resolve) => setImmediate(resolve));
      upgrade(req, Echo, body);
    });
    const session = await testHttp2(url);
    const stream = request(session);
    stream.write(frame(TEXT, "early"));
    await once(stream, "response");
    expect(await clientOf(stream).text()).toBe("early");
  });

  test("hooks on the response run once, at the upgrade", async () => {
    const events: string[] = [];
    const { url, sessions } = await serveHttp2((req, res) => {
      const { writeHead } = res;
      res.writeHead = ((status: number) => {
        res.setHeader("x-hook", "1");
        return Reflect.apply(writeHead, res, [status]);
      }) as typeof writeHead;
      for (const event of ["finish", "close"]) {
        res.on(event, () => events.push(`${event} ${res.statusCode} ${res.writableEnded} ${res.writableFinished}`));
      }
      upgrade(req, Echo);
      res.end("late");
      setImmediate(() => res.writeHead(500).end("later"));
    });
    const session = await testHttp2(url);
    const stream = await openHttp2Stream(session);
    expect(stream.answer["x-hook"]).toBe("1");
    await echoWorks(stream);
    stream.close();
    await once(stream, "close");
    await new Promise((resolve) => sessions[0]!.ping(() => resolve(undefined)));
    expect(events).toEqual(["finish 200 true true", "close 200 true true"]);
  });
});

describe("the end of a connection", () => {
  const opened = async (recorder: Recorder) => {
    const served = await serveHttp2((req) => upgrade(req, recorder));
    const session = await testHttp2(served.url);
    return { ...served, session, stream: await openHttp2Stream(session) };
  };

  test("RST_STREAM is reported as lost", async () => {
    const recorder = new Recorder();
    const { stream } = await opened(recorder);
    resetStream(stream);
    expect(await recorder.terminated).toMatchObject({ error: expect.any(ConnectionLost) });
  });

  test.each([
    ["RST_STREAM with CANCEL", frameOf(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8]))],
    ["RST_STREAM with NO_ERROR", frameOf(RST_STREAM, 0, 1, Buffer.alloc(4))],
    ["END_STREAM", frameOf(DATA, END_STREAM, 1)],
  ])("%s behind half a message is a loss, and what came before is handled", async (_name, end) => {
    const recorder = new Recorder();
    const { port, sockets } = await serveHttp2((req) => upgrade(req, recorder));
    const client = await RawHttp2.open(port);
    client.send(frameOf(HEADERS, END_HEADERS, 1, connectFields()));
    expect(await client.frame()).toMatchObject({ type: HEADERS, stream: 1 });
    const half = Buffer.concat([frame(TEXT, "whole"), frame(TEXT, "half", { fin: false })]);
    client.send(frameOf(DATA, 0, 1, half), end);
    expect(await recorder.terminated).toMatchObject({ error: expect.any(ConnectionLost) });
    expect(recorder.messages).toEqual(["whole"]);
    expect(sockets.connections).toBe(0);
  });

  test("sends the close frame, END_STREAM, and RST_STREAM with NO_ERROR only if the client does not end its direction (§8.1)", async () => {
    const { port } = await serveHttp2((req) => upgrade(req, Echo));
    const client = await RawHttp2.open(port);
    const ends = async (stream: number, end: boolean): Promise<unknown[]> => {
      client.send(frameOf(HEADERS, END_HEADERS, stream, connectFields()));
      expect(await client.frame()).toMatchObject({ type: HEADERS, stream });
      client.send(frameOf(DATA, end ? END_STREAM : 0, stream, closeFrame(4002)));
      const got: unknown[] = [];
      for (let over = false; !over; ) {
        const { type, flags, payload, stream: about } = await client.any();
        if (type === PING) {
          client.send(frameOf(PING, ACK, 0, payload));
          over = end;
        } else if (about === stream) {
          if (payload.length > 0) got.push([type, payload.toString("hex")]);
          if (type === DATA && (flags & END_STREAM) > 0) got.push("END_STREAM");
          over = type === RST_STREAM || (end && got.at(-1) === "END_STREAM");
        }
      }
      return got;
    };
    const closed = [[DATA, "88020fa2"], "END_STREAM"];
    expect(await ends(1, true)).toEqual(closed);
    expect(await ends(3, false)).toEqual([...closed, [RST_STREAM, "00000000"]]);
    expect(await ends(5, true)).toEqual(closed);
  });

  test("a stream error is reported as lost", async () => {
    const recorder = new Recorder();
    const { stream } = await opened(recorder);
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    expect(await recorder.terminated).toMatchObject({ error: expect.any(ConnectionLost) });
  });

  test("the end of the session is reported as lost for all of its WebSockets", async () => {
    const recorders = [new Recorder(), new Recorder()];
    const { url } = await serveHttp2((req) => upgrade(req, recorders[Number(req.url!.slice(1))]!));
    const session = await testHttp2(url);
    for (const i of [0, 1]) await openHttp2Stream(session, { ":path": `/${i}` });
    session.destroy();
    for (const { terminated } of recorders) {
      expect(await terminated).toMatchObject({ error: expect.any(ConnectionLost) });
    }
  });

  test("END_STREAM without a close frame is reported as lost, and the stream ends", async () => {
    const recorder = new Recorder();
    const { stream, session } = await opened(recorder);
    stream.resume().end();
    expect(await recorder.terminated).toMatchObject({ error: expect.any(ConnectionLost) });
    if (!stream.closed) await once(stream, "close");
    expect((await openHttp2Stream(session)).answer[":status"]).toBe(200);
  });

  test("aborting a stream at any moment while it ends does not end the process", async () => {
    const { url } = await serveHttp2((req) =>
      upgrade(req, { ...Echo, init: () => stop("normal", null) }, undefined, { closeTimeout: 1 }),
    );
    const session = await testHttp2(url);
    const one = async (i: number): Promise<void> => {
      const stream = await openHttp2Stream(session);
      stream.resume();
      if (i % 2) stream.write(closeFrame(1000));
      if (i % 3) stream.end();
      if (i % 5 === 0) stream.close(http2.constants.NGHTTP2_CANCEL);
      if (!stream.closed) await once(stream, "close");
    };
    // Ten in parallel, because each mostly waits for timers.
    const lane = async (from: number): Promise<void> => {
      for (let i = from; i < 300; i += 10) await one(i + Math.floor(i / 10));
    };
    await Promise.all(Array.from({ length: 10 }, (_, from) => lane(from)));
  });

  test("END_STREAM after the close frames is a clean close, whichever side closes first", async () => {
    const recorder = new Recorder();
    const { stream, session } = await opened(recorder);
    const client = clientOf(stream).send(closeFrame(4002, "bye"));
    expect(await client.closeCode()).toBe(4002);
    client.end();
    await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    expect(await recorder.terminated).toBe("remote");

    const stopping = await serveHttp2((req) =>
      upgrade(req, { ...Echo, init: () => stop("normal", null, { code: 4002 }) }),
    );
    const second = await openHttp2Stream(await testHttp2(stopping.url));
    const other = clientOf(second);
    expect(await other.closeCode()).toBe(4002);
    other.send(closeFrame(4002)).end();
    await once(second, "close");
    expect(second.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    expect(stopping.sockets.connections).toBe(0);
    expect(session.destroyed).toBe(false);
  });

  test("does not wait for a client that never ends its direction", async () => {
    const recorder = new Recorder();
    const { stream } = await opened(recorder);
    const client = clientOf(stream).send(closeFrame(1000));
    expect(await client.closeCode()).toBe(1000);
    await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
    expect(await recorder.terminated).toBe("remote");
  });

  test("a client that opens its window late gets the whole close frame", async () => {
    const { url } = await serveHttp2((req) => upgrade(req, Echo));
    const session = await testHttp2(url, { settings: { initialWindowSize: 3 } });
    const stream = await openHttp2Stream(session);
    stream.pause();
    stream.write(closeFrame(1000));
    for (let i = 0; i < 10; i++) await new Promise<void>((resolve) => session.ping(() => resolve()));
    expect(stream.closed).toBe(false);
    const client = clientOf(stream);
    stream.resume();
    expect(await client.closeCode()).toBe(1000);
    await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_NO_ERROR);
  });

  test("a close frame waits until the previous write has ended, because Node reports the end of only one", async () => {
    const writes = { begun: 0, ended: 0, most: 0 };
    const { url } = await serveHttp2((req) => {
      const { stream } = req;
      const write = stream._write;
      stream._write = (data, encoding, callback) => {
        writes.begun++;
        writes.most = Math.max(writes.most, writes.begun - writes.ended);
        write.call(stream, data, encoding, (error) => {
          writes.ended++;
          callback(error);
        });
      };
      return upgrade(req, Echo);
    });
    const session = await testHttp2(url, { settings: { initialWindowSize: 3 } });
    const pings = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => session.ping(() => resolve()));
    };
    const stream = await openHttp2Stream(session);
    stream.pause();
    stream.write(frame(TEXT, "a first answer"));
    await pings();
    stream.write(closeFrame(1000));
    await pings();
    const client = clientOf(stream);
    stream.resume();
    expect(await client.text()).toBe("a first answer");
    expect(await client.closeCode()).toBe(1000);
    expect(await client.ended).toBe("end");
    expect(writes).toEqual({ begun: 2, ended: 2, most: 1 });
  });

  test("many streams that end in the same tick are all closed", async () => {
    const { url, sockets } = await serveHttp2((req) => upgrade(req, Echo, undefined, { closeTimeout: 3_600_000 }));
    const session = await testHttp2(url);
    const streams = await Promise.all(Array.from({ length: 50 }, () => openHttp2Stream(session)));
    const closing = sockets.close();
    for (const stream of streams) {
      const client = clientOf(stream);
      expect(await client.closeCode()).toBe(1001);
      client.send(closeFrame(1001));
    }
    await closing;
  });

  test("if a client resets while the route is pending, upgrade returns and init never runs", async () => {
    const recorder = new Recorder();
    const [gate, arrived, returned] = [deferred(), deferred(), deferred<unknown>()];
    const { url } = await serveHttp2(async (req) => {
      arrived.resolve();
      await gate.promise;
      upgrade(req, recorder);
      returned.resolve("returned");
    });
    const session = await testHttp2(url);
    const stream = request(session);
    await arrived.promise;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await once(stream, "close");
    await new Promise((resolve) => session.ping(() => resolve(undefined)));
    gate.resolve();
    expect(await returned.promise).toBe("returned");
    expect(recorder.inits).toEqual([]);
  });

  test.each([
    ["close()", 1001],
    ["drain()", 1012],
  ])("%s closes the WebSockets first, then their sessions; a new one is refused", async (name, code) => {
    const recorder = new Recorder();
    const { stream, session, sockets } = await opened(recorder);
    const client = clientOf(stream);
    const goaway = once(session, "goaway");
    let gone = false;
    void goaway.then(() => {
      gone = true;
    });
    const done = name === "close()" ? sockets.close() : sockets.drain();
    expect(await client.closeCode()).toBe(code);
    expect(gone).toBe(false);
    expect((await wholeAnswer(session)).status).toBe(503);
    client.send(closeFrame(code)).end();
    await done;
    expect(await recorder.terminated).toBe("shutdown");
    await goaway;
    await once(session, "close");
  });

  test("a client's GOAWAY does not affect open streams (RFC 9113 §6.8)", async () => {
    const recorder = new Recorder();
    const { stream, session } = await opened(recorder);
    session.close();
    await new Promise((resolve) => session.ping(() => resolve(undefined)));
    const client = clientOf(stream);
    expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
    client.send(closeFrame(1000));
    expect(await client.closeCode()).toBe(1000);
    client.end();
    expect(await recorder.terminated).toBe("remote");
    await once(session, "close");
  });

  test("a client that never answers our close frame is aborted with CANCEL after closeTimeout", async () => {
    const { url, sockets } = await serveHttp2((req) => upgrade(req, Echo, undefined, { closeTimeout: 50 }));
    const stream = await openHttp2Stream(await testHttp2(url));
    stream.resume();
    await sockets.close();
    if (!stream.closed) await once(stream, "close");
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
  });
});
