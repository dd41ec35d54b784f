/** The same programs on uWebSockets.js, from the folder that the environment variable UWS names. */
import { answer, answerJson, chosen, compress } from "../lib/serve.mjs";

const { default: uws } = await import(`${process.env.UWS}/uws.js`);
const deflate = compress !== undefined;
/** @type {any} */
let member;
let topics = 0;

const behavior = chosen({
  echo: { message: (socket, data, binary) => socket.send(data, binary, deflate) },
  json: { message: (socket, data) => socket.send(answerJson(Buffer.from(data).toString())) },
  async: {
    message: async (socket, data, binary) => {
      const copy = data.slice(0); // it is valid only until the callback returns
      await undefined;
      socket.cork(() => socket.send(copy, binary));
    },
  },
  chat: {
    open: (socket) => socket.subscribe("room"),
    message: (_socket, data, binary) => app.publish("room", data, binary, deflate),
  },
  "chat-except": {
    open: (socket) => socket.subscribe("room"),
    message: (socket, data, binary) => socket.publish("room", data, binary, deflate),
  },
  topics: {
    open: (socket) => {
      member = socket;
    },
    message: (socket, data, binary) => socket.send(data, binary),
  },
});

const app = uws.App();
app.ws("/*", {
  compression: deflate ? uws.SHARED_COMPRESSOR : uws.DISABLED,
  maxBackpressure: 2 ** 30,
  maxPayloadLength: 2 ** 25,
  ...behavior,
});
app.listen("127.0.0.1", 0, (/** @type {any} */ listening) => {
  answer(uws.us_socket_local_port(listening), {
    subscribe: (count) => {
      for (; topics < count; topics++) member.subscribe(`topic ${topics}`);
    },
  });
});
