/** The same programs on `ws`, as its documentation writes them, with default options except for compression. */
import http from "node:http";
import https from "node:https";
import { WebSocketServer } from "ws";
import { selfSigned } from "../../scripts/certificate.mjs";
import { answerJson, argument, chosen, serve, wsDeflate } from "../lib/serve.mjs";

/** @typedef {import("ws").WebSocket} Socket */

/** @param {Socket} socket */
const echo = (socket) => {
  socket.on("message", (data, binary) => socket.send(data, { binary }));
};

/** Different functions, which keep different states. @type {((socket: Socket) => void)[]} */
const five = [
  echo,
  (socket) => {
    const state = { count: 0 };
    socket.on("message", (data, binary) => {
      state.count++;
      socket.send(data, { binary });
    });
  },
  (socket) => {
    socket.on("message", (data, binary) => {
      for (const each of [data]) socket.send(each, { binary });
    });
  },
  (socket) => {
    socket.on("message", function onMessage(data, binary) {
      this.send(data, { binary });
    });
  },
  (socket) => {
    const state = { socket };
    socket.on("message", (data, binary) => state.socket.send(data, { binary }));
  },
];

/** What is done with a new connection. @type {(socket: Socket, request: http.IncomingMessage) => void} */
const onConnection = chosen({
  echo,
  five: (socket, request) => five[Number(request.url?.at(-1))]?.(socket),
  json: (socket) => {
    socket.on("message", (data) => socket.send(answerJson(data.toString())));
  },
  async: (socket) => {
    socket.on("message", async (data, binary) => {
      await undefined;
      socket.send(data, { binary });
    });
  },
  /** The loop over all clients that the documentation of `ws` shows. */
  chat: (socket) => {
    socket.on("message", (data, binary) => {
      for (const each of sockets.clients) each.send(data, { binary });
    });
  },
  "chat-except": (socket) => {
    socket.on("message", (data, binary) => {
      for (const each of sockets.clients) if (each !== socket) each.send(data, { binary });
    });
  },
});

/** @type {Record<string, () => http.Server | Promise<http.Server>>} */
const hosts = {
  http1: () => http.createServer(),
  tls: () => https.createServer(selfSigned()),
  /** An Express application, past which the upgrade requests go. */
  express: async () => http.createServer((await import("express")).default()),
};

const server = /** @type {http.Server} */ (await hosts[argument("host") ?? "http1"]?.());
const sockets = new WebSocketServer({ server, perMessageDeflate: wsDeflate });
sockets.on("connection", onConnection);
serve(server);
