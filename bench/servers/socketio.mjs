/** An echo server of Socket.IO, with default options. */
import http from "node:http";
import { Server } from "socket.io";
import { serve } from "../lib/serve.mjs";

const server = http.createServer();
new Server(server).on("connection", (socket) => {
  socket.on("m", (data) => socket.emit("m", data));
});
serve(server);
