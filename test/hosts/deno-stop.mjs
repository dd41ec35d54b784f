/** Stops servers of `Deno.serve` in each possible way, and prints the reason and the close code. */
import { ok, upgrade } from "websock-js";
import { attach } from "websock-js/deno";

const listening = { hostname: "127.0.0.1", port: 0, onListen: () => {} };

/** A handler, and the reason that its `terminate` gets. */
const recording = () => {
  let resolveReason;
  const reason = new Promise((resolve) => (resolveReason = resolve));
  const handler = {
    init: () => ok(0),
    handleIn: (_message, state) => ok(state),
    terminate: (why) => resolveReason(why.error?.name ?? why),
  };
  return { reason, handler };
};

const connect = async (server) => {
  const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}/`);
  const closed = new Promise((resolve) => (socket.onclose = ({ code }) => resolve(code)));
  await new Promise((resolve) => (socket.onopen = resolve));
  return { socket, closed };
};

const ways = {
  shutdown: (handle) => {
    const server = Deno.serve(listening, handle);
    return { server, stop: () => server.shutdown() };
  },
  "the abort signal": (handle) => {
    const controller = new AbortController();
    const server = Deno.serve({ ...listening, signal: controller.signal }, handle);
    return { server, stop: () => controller.abort() };
  },
  "asyncDispose, handler among the options": (handler) => {
    const server = Deno.serve({ ...listening, handler });
    return { server, stop: () => server[Symbol.asyncDispose]() };
  },
};

for (const [name, serve] of Object.entries(ways)) {
  for (const attached of [true, false]) {
    const { reason, handler } = recording();
    const app = (request) => upgrade(request, handler);
    const { server, stop } = serve(attached ? attach(app) : app);
    const { closed } = await connect(server);
    stop();
    console.log(`${name}${attached ? "" : ", without attach"}: ${await reason}, client ${await closed}`);
    await server.finished;
  }
}

// Two servers share a handler: stopping one does not affect the connections of the other.
const { reason, handler } = recording();
const app = attach((request) => upgrade(request, handler));
const [stays, stops] = [Deno.serve(listening, app), Deno.serve(listening, app)];
const kept = await connect(stays);
const ended = await connect(stops);
await stops.shutdown();
console.log(`one of two servers: ${await reason}, client ${await ended.closed}, ${app.sockets.connections} left`);
kept.socket.close();
await kept.closed;
await stays.shutdown();
Deno.exit();
