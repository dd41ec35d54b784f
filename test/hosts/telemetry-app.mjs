/** The app for `test/adapters/telemetry.test.ts`: an echo, and the events of its connections, on any host. */
import { subscribe } from "node:diagnostics_channel";
import { ok, push, upgrade } from "websock-js";

/** @type {Record<string, unknown>[]} */
const events = [];

/** @typedef {any} Message */

for (const name of ["upgrade", "open", "close"])
  subscribe(`websock-js:${name}`, (/** @type {Message} */ { id, connection, counts, duration, ...event }) => {
    const { received, sent, callbacks } = counts;
    events.push({
      event: name,
      known: typeof id === "string" && connection.path === event.path,
      ...(duration !== undefined && { timed: duration >= 0 }),
      ...event,
      ...(name === "close" && { received, sent, callbacks: { count: callbacks.count, errors: callbacks.errors } }),
    });
  });

for (const name of ["start", "end"])
  subscribe(`tracing:websock-js:callback:${name}`, (/** @type {Message} */ { callback, opcode }) =>
    events.push({ event: name, callback, ...(opcode && { opcode }) }),
  );

const Echo = {
  name: "echo",
  init: () => ok(0),
  handleIn: (/** @type {Message} */ message, /** @type {number} */ count) => push(message, count + 1),
};

/** The events until now, as JSON. The route of the echo is `/echo`. */
export const takeEvents = () => JSON.stringify(events.splice(0));

/** @param {Message} request what a route is given */
export const echo = (request) => upgrade(request, Echo, undefined, { subprotocols: ["chat"] });

/** @param {Request} request */
export const respond = (request) =>
  new URL(request.url).pathname === "/echo" ? echo(request) : new Response(takeEvents());
