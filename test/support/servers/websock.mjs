/**
 * Our echo: the built package on a plain `node:http` server. Arguments: `deflate` turns compression on, `http2` has it served
 * over HTTP/2 in clear. Only sizes are raised.
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
attach(server, { onError: () => {} }); // it has been told to the client
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
