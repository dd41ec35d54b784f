/** The conformance suite's handler in a Worker or a Durable Object, depending on `MODE`. */
import { DurableObject } from "cloudflare:workers";
import { control, inOwnContext, ScriptedHandler, scenarioOf, setPubSub } from "websock-conformance/handlers";
import { upgrade } from "websock-js";
import { attach, capabilities, durableCapabilities } from "websock-js/cloudflare";
import { ManualClock, testPubSub } from "websock-js/testing";

setPubSub(testPubSub());

/**
 * @param {Request} request
 * @param {import("../../packages/websock-conformance/src/handlers/remote.ts").RemoteControls} controls
 */
const serve = async (request, controls) => {
  const asked = scenarioOf(request.url);
  if (asked !== undefined) {
    return inOwnContext(asked.arg.id, () => upgrade(request, ScriptedHandler, asked.arg, asked.options));
  }
  try {
    return new Response(await control(request.url, controls));
  } catch (error) {
    return new Response(String(error?.stack ?? error), { status: 500 });
  }
};

export class Room extends DurableObject {
  clock = new ManualClock();
  pubsub = testPubSub();
  sockets = attach(this, this.ctx, ScriptedHandler, {
    clock: this.clock,
    onError: () => undefined,
    pubsub: this.pubsub,
  });

  /** @param {Request} request */
  fetch(request) {
    setPubSub(this.pubsub);
    return serve(request, {
      capabilities: durableCapabilities,
      advance: (ms) => this.clock.advance(ms),
      shutdown: (code) => void (code === 1001 ? this.sockets.close() : this.sockets.drain()),
    });
  }
}

/** The number of the object that receives connections. It has not been shut down. */
let current = 0;

export default {
  /** @param {Request} request @param {{ MODE: string, ROOMS: any }} env */
  fetch(request, env) {
    if (env.MODE === "worker") return serve(request, { capabilities });
    const { pathname, port } = new URL(request.url);
    // From now on, another object receives the connections.
    if (pathname === "/renew") {
      current++;
      return new Response(port);
    }
    return env.ROOMS.get(env.ROOMS.idFromName(String(current))).fetch(request);
  },
};
