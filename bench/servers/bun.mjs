/** An echo server on `Bun.serve` alone, with default options. */
import { answer } from "../lib/serve.mjs";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: { message: (socket, message) => void socket.send(message) },
});
answer(server.port);
