/**
 * A server beside a tracer: its first requests are two upgrades at the same time, then comes an ordinary request. Prints the
 * spans as `[{ name, trace, id, parent, user }]`, where `user` is what the route has written into the scope.
 */
import { once } from "node:events";
import { createRequire } from "node:module";
import net from "node:net";
import { ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";

/** Whether spans are made in callbacks, too. */
const callbacks = process.argv.includes("callbacks");

/** The packages of `tracers/`. */
export const require = createRequire(new URL("../../tracers/package.json", import.meta.url));

/**
 * @param {(name: string, user: string) => void} span makes a span in the current context, and notes the user there
 * @param {() => Promise<object[]> | object[]} spans what was recorded
 */
export const run = async (span, spans) => {
  const http = require("node:http");
  // Both routes are pending at the same time, and go on in the other order.
  const waiting = [];
  const both = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 2) for (const next of waiting.reverse()) setImmediate(next);
    });
  const server = http.createServer(async (request, response) => {
    const user = request.url.slice(1);
    if (user === "page") return response.end("page");
    await both();
    span("in the route", user);
    upgrade(request, {
      init: () => ok(0),
      handleIn: (message, count) => {
        if (callbacks) span("in handleIn", user);
        return push(text(String(message.data)), count + 1);
      },
    });
  });
  const sockets = attach(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  const headers = [
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  // Over plain sockets: tracers follow Node's HTTP client, too.
  const clients = ["ann", "eve"].map((user) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.write(`GET /${user} HTTP/1.1\r\n${headers.join("\r\n")}\r\n\r\n`);
    return socket;
  });
  const until = async (socket, pattern) => {
    for (let received = ""; !pattern.test(received); ) received += (await once(socket, "data"))[0].toString("latin1");
  };
  await Promise.all(clients.map((socket) => until(socket, /^HTTP\/1.1 101 .*\r\n\r\n/s)));
  for (const socket of clients) {
    // "hi", masked with zeros, and its echo.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await until(socket, /hi$/);
  }
  await sockets.close();
  const page = net.connect(port, "127.0.0.1");
  page.write("GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  page.resume();
  await once(page, "close");
  await new Promise((resolve) => setImmediate(resolve));
  console.log(JSON.stringify(await spans()));
  process.exit();
};
