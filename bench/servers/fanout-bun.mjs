/** The same as fanout.mjs, with the native `publish` of `Bun.serve`. */
import { answer } from "../lib/serve.mjs";

const except = process.argv.includes("except");
const deflate = process.argv.includes("deflate");

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    perMessageDeflate: deflate,
    backpressureLimit: 2 ** 30,
    open: (socket) => socket.subscribe("room"),
    message: (socket, message) => {
      if (except) socket.publish("room", message, deflate);
      else server.publish("room", message, deflate);
    },
  },
});
answer(server.port);
