/** The app of `telemetry-app.mjs` in a Worker, or, for `MODE` "object", in a Durable Object. */
import { DurableObject } from "cloudflare:workers";
import { ok, push, upgrade } from "websock-js";
import { attach } from "websock-js/cloudflare";
import { respond } from "./telemetry-app.mjs";

export class Room extends DurableObject {
  handler = {
    name: "echo",
    init: () => ok(0),
    handleIn: (/** @type {any} */ message, /** @type {number} */ count) => push(message, count + 1),
  };
  sockets = attach(this, this.ctx, { echo: this.handler });

  /** @param {Request} request */
  fetch(request) {
    return upgrade(request, this.handler, undefined, { subprotocols: ["chat"] });
  }
}

export default {
  /** @param {Request} request @param {{ MODE: string, ROOMS: any }} env */
  fetch(request, env) {
    if (env.MODE !== "object" || new URL(request.url).pathname !== "/echo") return respond(request);
    return env.ROOMS.get(env.ROOMS.idFromName("room")).fetch(request);
  },
};
