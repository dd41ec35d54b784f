/** Fastify on Node: tracks replies of instances that were created before `fastify.ts` was loaded. */
import diagnostics from "node:diagnostics_channel";
import { type FastifyReply, type FastifyRequest, isTracked, trackReply, watchFastify } from "./fastify.ts";

watchFastify(diagnostics);

interface Tracing {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Whether the route has returned a promise. */
  readonly async: boolean;
}

let isTracing = false;

/**
 * Called when a server is attached. If it belongs to an instance of Fastify 5 that has no hooks of ours, Fastify's
 * tracing channels are subscribed to instead. They slow down every request in the process, so this is done only where
 * necessary.
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
