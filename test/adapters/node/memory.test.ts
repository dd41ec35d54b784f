/** Tests of what a connection keeps in memory: no HTTP objects after the upgrade, and little else while it is idle. */
import { expect, test } from "vitest";
import { compiledForChildren } from "../../support/child.ts";
import { handshake } from "../../support/raw-client.ts";

const runChild = compiledForChildren();

test.each([
  ["a route that upgrades at once", ""],
  ["an async route", "await new Promise((resolve) => setImmediate(resolve));"],
  [
    "one behind hooks and timeouts",
    "req.setTimeout(1000); res.on('finish', () => req.url); res.setHeader('etag', 'x');",
  ],
])("after the upgrade nothing keeps the request and the response alive: %s", async (_name, before) => {
  const { stdout, stderr } = await runChild(
    `
    import http from "node:http";
    import net from "node:net";
    import { ok, upgrade } from "websock-js";
    import { attach } from "websock-js/node";
    const refs = [];
    const Handler = { init: () => ok(null), handleIn: (_message, state) => ok(state) };
    const server = http.createServer(async (req, res) => {
      refs.push(new WeakRef(req), new WeakRef(res));
      ${before}
      upgrade(req, Handler, undefined, { subprotocols: ["a"], origins: "*" });
    });
    const sockets = attach(server);
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const clients = [];
    for (let i = 0; i < 20; i++) {
      const socket = net.connect(server.address().port, "127.0.0.1");
      clients.push(socket);
      socket.write(${JSON.stringify(handshake())});
      await new Promise((resolve) => socket.once("data", resolve));
    }
    ${COUNT_RETAINED}`,
    "--expose-gc",
  );
  expect({ stdout, stderr }).toEqual({ stdout: "20 40 0\n", stderr: "" });
});

/**
 * Prints the number of connections, of requests and responses, and of those that the garbage collector could not free.
 */
const COUNT_RETAINED = `
    let alive = refs.length;
    for (let i = 0; i < 20 && alive > 0; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      globalThis.gc();
      alive = refs.filter((ref) => ref.deref() !== undefined).length;
    }
    console.log(sockets.connections, refs.length, alive);
    process.exit();`;

test("over HTTP/2, they are not retained either", async () => {
  const { stdout, stderr } = await runChild(
    `
    import http2 from "node:http2";
    import { ok, upgrade } from "websock-js";
    import { attach } from "websock-js/node";
    const refs = [];
    const Handler = { init: () => ok(null), handleIn: (_message, state) => ok(state) };
    const server = http2.createServer((req, res) => {
      refs.push(new WeakRef(req), new WeakRef(res));
      res.on("finish", () => req.url);
      upgrade(req, Handler, undefined, { subprotocols: ["a"], origins: "*" });
    });
    const sockets = attach(server);
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const session = http2.connect("http://127.0.0.1:" + server.address().port);
    await new Promise((resolve) => session.once("remoteSettings", resolve));
    const streams = [];
    for (let i = 0; i < 20; i++) {
      const stream = session.request({
        ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": "/", ":authority": "localhost",
        "sec-websocket-version": "13",
      });
      streams.push(stream);
      await new Promise((resolve) => stream.once("response", resolve));
    }
    ${COUNT_RETAINED}`,
    "--expose-gc",
  );
  expect({ stdout, stderr }).toEqual({ stdout: "20 40 0\n", stderr: "" });
});

test("an idle connection takes at most 1 280 bytes of heap more than a bare socket, also after a message and a ping", async () => {
  const { stdout, stderr } = await runChild(
    `
    import http from "node:http";
    import net from "node:net";
    import { ok, push, upgrade } from "websock-js";
    import { attach } from "websock-js/node";

    const exchange = (socket, request, answerSize) => {
      const end = socket.bytesRead + answerSize;
      return new Promise((resolve) => {
        socket.on("data", function onData() {
          if (socket.bytesRead < end) return;
          socket.off("data", onData);
          resolve();
        });
        socket.write(request);
      });
    };
    const heapUsed = async () => {
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        globalThis.gc();
      }
      return process.memoryUsage().heapUsed;
    };
    /** The heap of both ends of a connection: when it is open, and after the later exchanges. */
    const measure = async (server, opening, later = []) => {
      server.listen(0, "127.0.0.1");
      await new Promise((resolve) => server.once("listening", resolve));
      const open = (count) =>
        Promise.all(
          Array.from({ length: count }, async () => {
            const socket = net.connect(server.address().port, "127.0.0.1").setNoDelay();
            await exchange(socket, ...opening);
            return socket;
          }),
        );
      const exchangeAll = async (sockets) => {
        for (const each of later) await Promise.all(sockets.map((socket) => exchange(socket, ...each)));
      };
      const warm = await open(500);
      await exchangeAll(warm);
      const before = await heapUsed();
      const sockets = await open(2000);
      const opened = await heapUsed();
      await exchangeAll(sockets);
      const exchanged = await heapUsed();
      for (const socket of [...warm, ...sockets]) socket.destroy();
      return [opened, exchanged].map((used) => (used - before) / sockets.length);
    };

    const echo = (socket) => socket.on("data", (chunk) => socket.write(chunk)).on("error", () => undefined);
    const [bare] = await measure(net.createServer(echo), ["x", 1]);
    const Handler = { init: () => ok(null), handleIn: (message, state) => push(message, state) };
    const server = http.createServer((req) => upgrade(req, Handler));
    attach(server);
    const text = [Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]), 4];
    const ping = [Buffer.from([0x89, 0x80, 0, 0, 0, 0]), 2];
    const ours = await measure(server, [${JSON.stringify(handshake())}, 100], [text, ping]);
    console.log(JSON.stringify(ours.map((bytes) => Math.round(bytes - bare))));
    process.exit();`,
    "--expose-gc",
  );
  expect(stderr).toBe("");
  const [opened, exchanged] = JSON.parse(stdout) as [number, number];
  expect(opened).toBeLessThan(1280);
  expect(exchanged).toBeLessThan(1280);
});
