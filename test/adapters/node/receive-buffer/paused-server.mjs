// A server whose connections are paused by their first message, until `resume`. It runs with the built package.
import http from "node:http";
import { ok, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { answer, measurements } from "../../../support/measured.mjs";

let open = () => {};
const gate = new Promise((resolve) => (open = resolve));
const sockets = [];
let handled = 0;

const Waiting = {
  init: () => ok(null),
  handleIn: async (_message, state) => {
    await gate;
    handled++;
    return ok(state);
  },
};

const server = http.createServer((req) => {
  sockets.push(req.socket);
  upgrade(req, Waiting);
});
attach(server, { defaults: { heartbeat: false } });
server.listen(0, "127.0.0.1", 4096, () => process.send({ port: server.address().port }));

answer({
  ...measurements,
  paused: () => sockets.filter((socket) => socket.isPaused()).length,
  resume: () => open(),
  handled: () => handled,
});
