/** An echo server on `Bun.serve`, with default options except for sizes. The argument `deflate` enables compression. */
const deflate = process.argv.includes("deflate");
const MiB = 1024 * 1024;

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: {
    perMessageDeflate: deflate,
    maxPayloadLength: 32 * MiB,
    backpressureLimit: 64 * MiB,
    message: (socket, message) => void socket.send(message, deflate),
  },
});
console.log(`listening ${server.port}`);
