/** Fastify on Node: instances that are created from now on, and those that are there already. */
import diagnostics from "node:diagnostics_channel";
import { type FastifyReply, type FastifyRequest, isTracked, trackReply, watchFastify } from "./fastify.ts";

watchFastify(diagnostics);

interface Tracing {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** The route has returned a promise. */
  readonly async: boolean;
}

let isTracing = false;

/**
 * A server is attached. If it belongs to an instance of Fastify 5 that was created before this module was loaded, its tracing
 * channels tell what our hooks would. They cost every request of the process, so we subscribe only where we have to.
 */
export const traceFastify = (server: object): void => {
  if (isTracing || isTracked(server)) return;
  isTracing = true;
  diagnostics.subscribe("tracing:fastify.request.handler:start", (message) => {
    const { request, reply } = message as Tracing;
    trackReply(request.raw, reply)?.entered("route");
  });
  diagnostics.subscribe("tracing:fastify.request.handler:end", (message) => {
    const { request, reply, async } = message as Tracing;
    if (!async) trackReply(request.raw, reply)?.returned();
  });
};
