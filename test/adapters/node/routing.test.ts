/** Tests of upgrade requests passing through the app: routes, errors and refusals. */
import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { UnknownAdapterError, UpgradeError, upgrade } from "websock-js";
import { compiledForChildren } from "../../support/child.ts";
import { Echo, Recorder, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, RawClient, requestOf } from "../../support/raw-client.ts";
import { frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();
const runChild = compiledForChildren();

/** Connects, sends the handshake, and returns the client. */
const knock = async (port: number, headers = {}): Promise<RawClient> =>
  (await RawClient.open(port)).send(handshake(headers));

const echoWorks = async (client: RawClient): Promise<void> => {
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
};

describe("an upgrade request passes through the app", () => {
  test("middleware sees a working request and response", async () => {
    const { port } = await serve((req, res) => {
      const user = /user=(\w+)/.exec(req.headers.cookie ?? "")?.[1];
      res.setHeader("Set-Cookie", ["seen=1; Path=/", "id=7"]);
      res.setHeader("X-Powered-By", "tests");
      res.appendHeader("Vary", "Cookie");
      if (user === undefined) res.writeHead(401, { "WWW-Authenticate": "Cookie" }).end("who are you?");
      else upgrade(req, Echo, user);
    });
    const client = await knock(port, { Cookie: "user=ann" });
    const { headers } = await client.accepted();
    expect(headers).toMatchObject({ "set-cookie": "seen=1; Path=/\nid=7", "x-powered-by": "tests", vary: "Cookie" });
    await echoWorks(client);

    const stranger = await knock(port);
    const answer = await stranger.answer();
    expect(answer).toMatchObject({ status: 401, body: "who are you?", headers: { connection: "close" } });
    expect(await stranger.ended).toBe("end");
  });

  test("a body reads as empty", async () => {
    const { port } = await serve(async (req) => {
      let body = "";
      for await (const chunk of req) body += chunk;
      upgrade(req, Echo, body);
    });
    await echoWorks(await RawClient.upgraded(port));
  });

  test("every request listener is called, as for any other request", async () => {
    const seen: (string | undefined)[] = [];
    const { port } = await serve([
      (req) => void seen.push(req.url),
      (req) => upgrade(req, Echo),
      (req) => void seen.push(req.url),
    ]);
    await echoWorks(await RawClient.upgraded(port));
    expect(seen).toEqual(["/", "/"]);
  });

  test("the request is emitted through an `emit` that tracing tools have wrapped", async () => {
    const { server, port } = await serve((req, res) => {
      if (req.url === "/plain") res.end();
      else upgrade(req, Echo);
    });
    const inner = server.emit;
    const traced: unknown[] = [];
    server.emit = function (this: typeof server, ...args: Parameters<typeof inner>) {
      if ((args[0] as string) === "request") traced.push((args[1] as IncomingMessage).url);
      return inner.apply(this, args);
    } as typeof inner;
    const client = await RawClient.open(port);
    client.send(requestOf("GET /plain HTTP/1.1", { Host: "localhost" }));
    expect((await client.answer()).status).toBe(200);
    await client.send(handshake()).accepted();
    expect(traced).toEqual(["/plain", "/"]);
  });

  test("a route may await before it upgrades", async () => {
    const gate = deferred();
    const { port } = await serve(async (req) => {
      await gate.promise;
      upgrade(req, Echo);
    });
    const client = await knock(port);
    client.send(frame(TEXT, "early"));
    gate.resolve();
    await client.accepted();
    expect(await client.text()).toBe("early");
    await echoWorks(client);
  });
});

describe("a route that does not upgrade answers as usual", () => {
  const answers: [string, RequestListener, number, string][] = [
    ["a redirect", (_req, res) => res.writeHead(302, { Location: "/login" }).end(), 302, ""],
    ["a 404 with a page", (_req, res) => res.writeHead(404, { "Content-Length": 4 }).end("gone"), 404, "gone"],
    ["a chunked page", (_req, res) => [res.write("one, "), res.end("two")], 200, "one, two"],
    ["an empty answer", (_req, res) => res.writeHead(204).end(), 204, ""],
  ];
  test.each(answers)("%s", async (_name, listener, status, body) => {
    const { port } = await serve(listener);
    const client = await knock(port);
    // Data that the client sends immediately after its handshake must not cause a reset before the answer is read.
    client.send(frame(TEXT, "x".repeat(100_000)));
    const { headers, ...answer } = await client.head();
    expect(answer.status).toBe(status);
    expect(headers.connection).toBe("close");
    const rest = (await client.rest()).toString();
    expect(rest.replace(/\r\n|^\w+\r\n/gm, "")).toContain(body.slice(0, 4));
  });

  test("a large streamed page gets `drain` and arrives completely", async () => {
    const chunk = Buffer.alloc(65_536, "x");
    let drains = 0;
    const { port } = await serve(async (_req, res) => {
      res.setHeader("Content-Length", chunk.length * 200);
      for (let i = 0; i < 200; i++) {
        if (res.write(chunk)) continue;
        await once(res, "drain");
        drains++;
      }
      res.end();
    });
    const client = await knock(port);
    client.send(frame(TEXT, "x".repeat(100_000)));
    const { headers, body } = await client.answer();
    expect(body.length).toBe(Number(headers["content-length"]));
    expect(await client.ended).toBe("end");
    expect(drains).toBeGreaterThan(0);
  });
});

describe("an uncaught UpgradeError is answered", () => {
  const listeners: [string, RequestListener][] = [
    ["from a listener", (req) => upgrade(req, Echo)],
    ["from an async listener", async (req) => upgrade(req, Echo)],
    ["from an async listener that awaited", async (req) => upgrade(await Promise.resolve(req), Echo)],
  ];
  test.each(listeners)("%s, an ordinary GET gets 426, and the connection stays open", async (_name, listener) => {
    const { port, errors } = await serve(listener);
    const client = await RawClient.open(port);
    for (let i = 0; i < 3; i++) {
      const answer = await client.send(requestOf("GET / HTTP/1.1", { Host: "localhost" })).answer();
      expect(answer.status).toBe(426);
      expect(answer.headers).toMatchObject({ upgrade: "websocket", connection: "Upgrade" });
      expect(answer.body).toContain("WebSocket");
    }
    await client.send(handshake()).accepted();
    await echoWorks(client);
    expect(errors).toEqual([]);
  });

  test.each(listeners)("%s, an invalid handshake is refused, and the connection ends", async (_name, listener) => {
    const { port } = await serve(listener);
    const client = await knock(port, { "Sec-WebSocket-Version": "12" });
    const answer = await client.answer();
    expect(answer.status).toBe(426);
    expect(answer.headers).toMatchObject({ "sec-websocket-version": "13", connection: "Upgrade\nclose" });
    expect(await client.ended).toBe("end");
    await echoWorks(await RawClient.upgraded(port));
  });

  test("an UpgradeError of the application is answered, too", async () => {
    const { port } = await serve(() => {
      throw new UpgradeError(403, "not you", { "x-why": "because" });
    });
    const answer = await (await knock(port)).answer();
    expect(answer).toMatchObject({ status: 403, body: "not you\n", headers: { "x-why": "because" } });
  });

  test("a route that has already answered gets no second answer", async () => {
    const { port } = await serve((req, res) => {
      try {
        upgrade(req, Echo);
      } catch (error) {
        res.writeHead((error as UpgradeError).statusCode).end("mine");
        throw error;
      }
    });
    const answer = await (await knock(port, { Origin: "http://elsewhere.example" })).answer();
    expect(answer).toMatchObject({ status: 403, body: "mine" });
  });
});

describe("any other error is not affected", () => {
  const app = (listener: string): string => `
    import http from "node:http";
    import net from "node:net";
    import { attach } from "websock-js/node";
    const server = http.createServer(${listener});
    attach(server);
    process.on("unhandledRejection", (error) => { console.log("rejection", error.message); process.exit(3); });
    process.on("uncaughtException", (error) => { console.log("exception", error.message); process.exit(4); });
    server.listen(0, "127.0.0.1", () => {
      net.connect(server.address().port, "127.0.0.1").end(process.argv.at(-1) === "x" ? "" : REQUEST);
    });
    const REQUEST = ${JSON.stringify("GET / HTTP/1.1\r\nHost: a\r\n")} + (UPGRADE ? ${JSON.stringify(
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    )} : "") + "\\r\\n";`;
  test.each([
    ["a listener", "() => { throw new Error('mine'); }", "exception mine", 4],
    ["an async listener", "async () => { throw new Error('mine'); }", "rejection mine", 3],
  ])("from %s", async (_name, listener, output, code) => {
    for (const isUpgrade of [true, false]) {
      const result = await runChild(`const UPGRADE = ${isUpgrade};${app(listener)}`);
      expect(result).toMatchObject({ stdout: `${output}\n`, code });
    }
  });

  test("with captureRejections, Node's own answer is sent", async () => {
    const { stdout } = await runChild(`
      import { EventEmitter } from "node:events";
      import http from "node:http";
      import { attach } from "websock-js/node";
      EventEmitter.captureRejections = true;
      const server = http.createServer(async () => { throw new Error("mine"); });
      attach(server);
      server.listen(0, "127.0.0.1", async () => {
        console.log((await fetch("http://127.0.0.1:" + server.address().port)).status);
        process.exit();
      });`);
    expect(stdout).toBe("500\n");
  });
});

describe("upgrade() refuses", () => {
  /** The error of the second of two calls. */
  const thrown = async (listener: (req: IncomingMessage, res: ServerResponse) => void): Promise<unknown> => {
    const error = deferred<unknown>();
    const { port } = await serve((req, res) => {
      try {
        listener(req, res);
        error.resolve(undefined);
      } catch (caught) {
        error.resolve(caught);
        if (!res.headersSent) res.writeHead(500).end();
      }
    });
    await knock(port);
    return error.promise;
  };

  test("a second call", async () => {
    const recorder = new Recorder();
    const error = await thrown((req) => {
      upgrade(req, recorder, 1);
      upgrade(req, recorder, 2);
    });
    expect(error).toMatchObject({ code: "WEBSOCK_ALREADY_ANSWERED" });
    expect(recorder.inits).toEqual([1]);
  });

  test("a call after headers were sent", async () => {
    const error = await thrown((req, res) => {
      res.writeHead(200);
      upgrade(req, Echo);
    });
    expect(error).toMatchObject({ message: expect.stringContaining("headers were sent") });
  });

  test.each([
    ["an unknown option", { tiemout: 5 }],
    ["a header that would split the answer", { headers: { "X-Evil": "a\r\nSet-Cookie: b" } }],
    ["a header of the handshake", { headers: { "Sec-WebSocket-Accept": "x" } }],
    ["a subprotocol that is no token", { subprotocols: ["a\r\nb"] }],
  ])("%s", async (_name, options) => {
    const error = await thrown((req) => upgrade(req, Echo, undefined, options as object));
    expect(error).toBeInstanceOf(TypeError);
  });

  test("a handler with an unknown callback", async () => {
    const error = await thrown((req) => upgrade(req, { ...Echo, handleMessage: Echo.handleIn } as typeof Echo));
    expect(error).toMatchObject({ message: expect.stringContaining("handleMessage") });
  });

  test("a request that no adapter has marked", () => {
    expect(() => upgrade({}, Echo)).toThrow(UnknownAdapterError);
  });

  test("a route may catch a refusal and call upgrade again", async () => {
    const { port } = await serve((req) => {
      expect(() => upgrade(req, Echo, undefined, { origins: [] })).toThrow(UpgradeError);
      upgrade(req, Echo, undefined, { origins: "*" });
    });
    await echoWorks(await RawClient.upgraded(port, { Origin: "http://elsewhere.example" }));
  });
});

test("earlyValidateUpgrade: false answers instead of throwing", async () => {
  const returned: unknown[] = [];
  const { port } = await serve((req) => {
    returned.push(upgrade(req, Echo, undefined, { earlyValidateUpgrade: false }));
  });
  const client = await knock(port, { "Sec-WebSocket-Key": "short" });
  expect((await client.answer()).status).toBe(400);
  expect(await client.ended).toBe("end");
  expect(returned).toHaveLength(1);
});
