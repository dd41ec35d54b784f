/** The same programs on `Bun.serve` alone, with default options except for compression. */
import { answer, answerJson, chosen, compress } from "../lib/serve.mjs";

const deflate = compress !== undefined;
/** @type {any} */
let member;
let topics = 0;

const websocket = chosen({
  echo: { message: (socket, message) => void socket.send(message, deflate) },
  json: { message: (socket, message) => void socket.send(answerJson(message)) },
  async: {
    message: async (socket, message) => {
      await undefined;
      socket.send(message);
    },
  },
  chat: {
    backpressureLimit: 2 ** 30,
    open: (socket) => socket.subscribe("room"),
    message: (_socket, message) => void server.publish("room", message, deflate),
  },
  "chat-except": {
    backpressureLimit: 2 ** 30,
    open: (socket) => socket.subscribe("room"),
    message: (socket, message) => void socket.publish("room", message, deflate),
  },
  topics: {
    open: (socket) => {
      member = socket;
    },
    message: (socket, message) => void socket.send(message),
  },
});

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) => (server.upgrade(request) ? undefined : new Response(null, { status: 426 })),
  websocket: { perMessageDeflate: deflate, ...websocket },
});
answer(server.port, {
  subscribe: (count) => {
    for (; topics < count; topics++) member.subscribe(`topic ${topics}`);
  },
});
