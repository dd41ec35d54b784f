/**
 * Our echo server: the built package on a plain `node:http` server, with default options except for sizes. The argument
 * `deflate` turns compression on; `http2` serves it over HTTP/2 without TLS.
 */
import http from "node:http";
import http2 from "node:http2";
import { ok, push, upgrade } from "websock-js";
import { attach } from "websock-js/node";

const echo = {
  init: () => ok(undefined),
  handleIn: (/** @type {import("websock-js").DataMessage} */ message) => push(message, undefined),
};
const options = {
  maxMessageSize: 32 * 1024 * 1024,
  ...(process.argv.includes("deflate") ? { compress: true } : {}),
};

const { createServer } = process.argv.includes("http2") ? http2 : http;
const server = createServer((req) => upgrade(req, echo, undefined, options));
attach(server, { onError: () => {} }); // the client is notified by a close frame
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
