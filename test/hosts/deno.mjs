/** The conformance suite's handler on `Deno.serve`. */

import { control, inOwnContext, ScriptedHandler, scenarioOf, setPubSub } from "websock-conformance/handlers";
import { upgrade } from "websock-js";
import { attach, capabilities } from "websock-js/deno";
import { ManualClock, testPubSub } from "websock-js/testing";

setPubSub(testPubSub());

const clock = new ManualClock();
let sockets;
let server;

const serve = () => {
  const handler = attach(
    async (/** @type {Request} */ request) => {
      const asked = scenarioOf(request.url);
      if (asked !== undefined) {
        return inOwnContext(asked.arg.id, () => upgrade(request, ScriptedHandler, asked.arg, asked.options));
      }
      return new Response(await control(request.url, controls));
    },
    { clock, onError: () => undefined },
  );
  sockets = handler.sockets;
  server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return server.addr.port;
};

const controls = {
  capabilities,
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
  stop: () => void server.shutdown(),
  renew: serve,
};

// The controls have a server of their own, which is never stopped.
serve();
const { addr } = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: () => {} },
  async (/** @type {Request} */ request) => new Response(await control(request.url, controls)),
);
console.log(`listening ${addr.port}`);
