/** The echo on the bare `Bun.serve`, options as they are by default. */
import { answer } from "../lib/serve.mjs";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: { message: (socket, message) => void socket.send(message) },
});
answer(server.port);
