/** The conformance suite's handler on the package `ws`, over the `node:http` of another runtime than Node. */
import http from "node:http";
import { upgrade } from "websock-js";
import { conformance, ManualClock } from "websock-js/testing";
import { attach, capabilities } from "websock-js/ws";
import { WebSocketServer } from "ws";

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

/** @param {import("node:http").Server} server */
const listen = (server) =>
  new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

const renew = () => {
  const server = http.createServer(onRequest);
  sockets = attach(new WebSocketServer({ server }), { clock, onError: () => undefined });
  return listen(server);
};

const controls = {
  capabilities,
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
  renew,
};

const controller = await listen(http.createServer(onRequest));
console.log(`listening ${controller}`);
