/**
 * Fastify sends what a handler returns, and of a handler that returned nothing it waits for `reply.send()`. The reply, where
 * its headers are, is told by the channels that Fastify publishes its handlers on.
 */
import { subscribe } from "node:diagnostics_channel";
import { isMarked } from "../upgrade.ts";

interface Handling {
  readonly request: { readonly raw: object };
  readonly reply: { readonly sent: boolean; send(): unknown };
  /** The handler has returned a promise: Fastify sends when it settles. */
  readonly async: boolean;
}

interface Handled {
  readonly handling: Handling;
  returned: boolean;
  decided: boolean;
}

const handled = new WeakMap<object, Handled>();

let watching = false;

/** Begins to listen to the handlers of every Fastify in this process. */
export const watchFastify = (): void => {
  if (watching) return;
  watching = true;
  subscribe("tracing:fastify.request.handler:start", (message) => {
    const handling = message as Handling;
    const { raw } = handling.request;
    if (isMarked(raw)) handled.set(raw, { handling, returned: false, decided: false });
  });
  subscribe("tracing:fastify.request.handler:end", (message) => {
    const entry = handled.get((message as Handling).request.raw);
    if (entry === undefined) return;
    entry.returned = true;
    if (entry.decided) send(entry);
  });
};

/**
 * The upgrade is decided: a handler that has not returned a promise leaves it to us to have the response sent.
 *
 * @returns whether Fastify keeps out of the response (`reply.hijack()`)
 */
export const answerFromFastify = (raw: object): boolean => {
  const entry = handled.get(raw);
  if (entry === undefined) return false;
  if (entry.handling.reply.sent) return true;
  entry.decided = true;
  if (entry.returned) send(entry);
  return false;
};

const send = ({ handling: { async, reply } }: Handled): void => {
  if (!async && !reply.sent) reply.send();
};
