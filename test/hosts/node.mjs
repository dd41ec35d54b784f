/** The conformance suite's handler on `node:http` or `node:http2`, whatever runtime these are of. */
import http from "node:http";
import http2 from "node:http2";
import { upgrade } from "websock-js";
import { attach, capabilities } from "websock-js/node";
import { conformance, ManualClock } from "websock-js/testing";

const { control, inOwnContext, scenarioOf, ScriptedHandler } = conformance;

const clock = new ManualClock();
let sockets;

/** @param {import("node:http").IncomingMessage} request @param {import("node:http").ServerResponse} response */
const onRequest = async (request, response) => {
  const asked = scenarioOf(request.url);
  if (asked !== undefined) {
    return inOwnContext(asked.arg.id, () => upgrade(request, ScriptedHandler, asked.arg, asked.options));
  }
  try {
    response.end(await control(request.url, controls));
  } catch (error) {
    response.writeHead(500).end(String(error?.stack ?? error));
  }
};

/** @param {import("node:http").Server | import("node:http2").Http2Server} server */
const listen = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

const renew = () => {
  const server = process.argv.includes("http2") ? http2.createServer(onRequest) : http.createServer(onRequest);
  sockets = attach(server, { clock, onError: () => undefined });
  return listen(server);
};

const controls = {
  capabilities,
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
  renew,
};

// Control comes over HTTP/1.1 in either case.
const controller = await listen(http.createServer(onRequest));
console.log(`listening ${controller}`);
