/**
 * The conformance suite's handler on `node:http` of any runtime. Arguments: `http2` for `node:http2`, `ws` for the
 * package `ws`.
 */
import http from "node:http";
import http2 from "node:http2";
import { control, inOwnContext, ScriptedHandler, scenarioOf, setPubSub } from "websock-conformance/handlers";
import { upgrade } from "websock-js";
import { ManualClock, testPubSub } from "websock-js/testing";

setPubSub(testPubSub());

const byWs = process.argv.includes("ws");
const { attach, capabilities } = byWs ? await import("websock-js/ws") : await import("websock-js/node");
const { WebSocketServer } = byWs ? await import("ws") : {};
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
  sockets = attach(byWs ? new WebSocketServer({ server, perMessageDeflate: true }) : server, {
    clock,
    onError: () => undefined,
  });
  return listen(server);
};

const controls = {
  capabilities,
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
  renew,
};

// The controls are always served over HTTP/1.1.
const controller = await listen(http.createServer(onRequest));
console.log(`listening ${controller}`);
