/** Tests of the 101 response, and of frameworks and hooks that write to it. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { upgrade } from "websock-js";
import { Echo, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { closeFrame, frame, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

/** Returns the head of the 101 response, and checks that the connection works afterwards. */
const opened = async (
  route: (req: IncomingMessage, res: ServerResponse) => unknown,
  headers: Readonly<Record<string, string>> = {},
) => {
  const { port } = await serve((req, res) => void route(req, res));
  const client = await RawClient.open(port);
  const head = await client.send(handshake(headers)).accepted();
  expect(await client.send(frame(TEXT, "hello")).text()).toBe("hello");
  return head;
};

describe("the 101", () => {
  test("has the headers that RFC 6455 requires", async () => {
    const { head, headers } = await opened((req) => upgrade(req, Echo));
    expect(head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(headers).toMatchObject({ upgrade: "websocket", connection: "Upgrade" });
    expect(headers).not.toHaveProperty("sec-websocket-protocol");
    expect(headers).not.toHaveProperty("sec-websocket-extensions");
  });

  test.each([
    ["Content-Type", "text/html"],
    ["Content-Length", "9"],
    ["Content-Encoding", "gzip"],
    ["ETag", '"abc"'],
    ["Transfer-Encoding", "chunked"],
    ["Connection", "keep-alive"],
    ["Keep-Alive", "timeout=5"],
    ["Upgrade", "h2c"],
    ["Trailer", "X-Sum"],
    ["Sec-WebSocket-Protocol", "never-offered"],
    ["Sec-WebSocket-Extensions", "permessage-deflate"],
  ])("has nothing of the %s that middleware has set", async (name, value) => {
    const { headers } = await opened((req, res) => {
      res.setHeader(name, value);
      res.setHeader("X-Kept", "yes");
      upgrade(req, Echo);
    });
    expect(headers[name.toLowerCase()]).not.toBe(value);
    expect(headers["x-kept"]).toBe("yes");
  });

  test("has the extra headers of the options, and cookies from both sides", async () => {
    const { headers } = await opened((req, res) => {
      res.setHeader("Set-Cookie", "session=1");
      res.setHeader("X-Both", "middleware");
      upgrade(req, Echo, undefined, {
        headers: { "set-cookie": ["a=1", "b=2"], "X-Both": "options", "X-List": ["1", "2"] },
      });
    });
    expect(headers).toMatchObject({ "set-cookie": "session=1\na=1\nb=2", "x-both": "options", "x-list": "1\n2" });
  });
});

describe("what a framework does to the response after the upgrade", () => {
  test.each<[string, (res: ServerResponse) => unknown]>([
    ["setHeader", (res) => res.setHeader("X-Late", "1")],
    ["appendHeader", (res) => res.appendHeader("X-Late", "1")],
    ["removeHeader", (res) => res.removeHeader("Upgrade")],
    ["statusCode", (res) => (res.statusCode = 404)],
    ["writeHead", (res) => res.writeHead(200, { "Content-Length": 9 })],
    ["write", (res) => res.write("Not Found")],
    ["end", (res) => res.end("Not Found")],
    ["writeContinue", (res) => res.writeContinue()],
    ["writeProcessing", (res) => res.writeProcessing()],
    ["writeEarlyHints", (res) => res.writeEarlyHints({ link: "</a.css>; rel=preload" })],
    ["addTrailers", (res) => res.addTrailers({ "X-Late": "1" })],
    ["flushHeaders", (res) => res.flushHeaders()],
    ["setTimeout", (res) => res.setTimeout(1)],
    ["destroy", (res) => res.destroy()],
    ["all of an error page", (res) => res.writeHead(500).end("sorry")],
  ])("%s does no harm, at once or later", async (_name, late) => {
    const { headers } = await opened((req, res) => {
      upgrade(req, Echo);
      late(res);
      process.nextTick(() => late(res));
      setImmediate(() => late(res));
    });
    expect(headers).not.toHaveProperty("x-late");
  });

  test("callbacks are called, so that nothing waits for ever", async () => {
    const called: string[] = [];
    await opened(async (req, res) => {
      upgrade(req, Echo);
      await new Promise<void>((resolve) => res.write("x", () => resolve()));
      called.push("write");
      await new Promise<void>((resolve) => res.end("x", "utf8", resolve));
      called.push("end");
    });
    expect(called).toEqual(["write", "end"]);
  });

  test("the response reports that it has ended", async () => {
    const seen: unknown[] = [];
    await opened((req, res) => {
      upgrade(req, Echo);
      seen.push(res.headersSent, res.writableEnded, res.statusCode);
    });
    expect(seen).toEqual([true, true, 101]);
  });
});

describe("hooks on the response run once", () => {
  test("on its headers, where they may add headers (on-headers)", async () => {
    let calls = 0;
    const { headers } = await opened((req, res) => {
      const { writeHead } = res;
      res.writeHead = function (this: ServerResponse, ...args: never[]) {
        calls++;
        this.setHeader("X-Response-Time", "1ms");
        return Reflect.apply(writeHead, this, args);
      } as typeof writeHead;
      upgrade(req, Echo);
      res.writeHead(200);
    });
    expect(calls).toBe(1);
    expect(headers["x-response-time"]).toBe("1ms");
  });

  test("on its end (morgan, on-finished)", async () => {
    const events: string[] = [];
    const closed = deferred();
    await opened((req, res) => {
      for (const event of ["prefinish", "finish", "close"]) {
        res.on(event, () => events.push(`${event} ${res.statusCode} ${res.writableFinished}`));
      }
      res.once("close", closed.resolve);
      upgrade(req, Echo);
      res.end("late");
    });
    await closed.promise;
    expect(events.filter((event) => !event.startsWith("prefinish"))).toEqual(["finish 101 true", "close 101 true"]);
  });

  test("on its end, if that is delayed until a session is saved (express-session)", async () => {
    const finished = deferred();
    const saved = deferred();
    const handler = { ...Echo, init: () => ["stop", "normal", [4000, "at once"], null] as const };
    const { port } = await serve((req, res) => {
      const { end } = res;
      res.end = ((...args: never[]) => {
        void saved.promise.then(() => Reflect.apply(end, res, args));
        return res;
      }) as typeof end;
      res.once("finish", finished.resolve);
      upgrade(req, handler);
    });
    const client = await RawClient.open(port);
    await client.send(handshake()).accepted();
    expect(await client.closeCode()).toBe(4000);
    client.send(closeFrame(4000));
    saved.resolve();
    await finished.promise;
    expect(await client.ended).toBe("end");
  });
});
