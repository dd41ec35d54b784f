/** A page over HTTPS and HTTP/2, and a WebSocket that says which version of HTTP opened it. */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { handler, ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { certificate } from "./certificate.ts";
import { page } from "./page.ts";

const Protocol = handler<never>()({
  init: (_: void, { connection }) => push(text(`HTTP/${connection.httpVersion}, ${connection.method}`), null),
  handleIn: () => ok(null),
});

// Older clients, with HTTP/1.1, are served on the same port by the same route.
const server = http2.createSecureServer({ ...certificate, allowHTTP1: true }, (req, res) => {
  if (req.url === "/protocol") return upgrade(req, Protocol);
  res.setHeader("content-type", "text/html; charset=utf-8");
  res.end(page);
});

const sockets = attach(server);

server.listen(Number(process.env.PORT ?? 4000), () => {
  console.log(`https://localhost:${(server.address() as AddressInfo).port}/`);
});

for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.once(signal, () => void sockets.drain().then(() => process.exit()));
