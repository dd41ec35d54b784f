/** The conformance suite's handler on `Bun.serve`. */

import { control, inOwnContext, ScriptedHandler, scenarioOf, setPubSub } from "websock-conformance/handlers";
import { attach, capabilities, upgrade } from "websock-js/bun";
import { ManualClock, testPubSub } from "websock-js/testing";

setPubSub(testPubSub());

const clock = new ManualClock();
let sockets;
let server;

const serve = () => {
  const app = attach(
    {
      hostname: "127.0.0.1",
      port: 0,
      idleTimeout: 0,
      fetch: async (/** @type {Request} */ request) => {
        const asked = scenarioOf(request.url);
        if (asked !== undefined) {
          return inOwnContext(asked.arg.id, () => upgrade(request, ScriptedHandler, asked.arg, asked.options));
        }
        return new Response(await control(request.url, controls));
      },
    },
    // Bun has one limit for all connections: the largest message of the suite must fit.
    { clock, onError: () => undefined, defaults: { maxMessageSize: 20_000_000 } },
  );
  sockets = app.sockets;
  server = Bun.serve(app);
  return server.port;
};

const controls = {
  capabilities,
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
  stop: () => void server.stop(true),
  renew: serve,
};

// The controls have a server of their own, which is never stopped.
serve();
const { port } = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: async (request) => new Response(await control(request.url, controls)),
});
console.log(`listening ${port}`);
