import http from "node:http";
import { describe } from "vitest";
import { upgrade } from "websock-js";
import { attach, capabilities, hosting } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { conformOn } from "../support/conformance-on-node.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

const onError = (): void => undefined;
const connect = (port: number, path: string) => connectWs(`ws://127.0.0.1:${port}${path}`);

describe("attach", () => {
  conformOn(
    capabilities,
    (upgradeOf, clock) => {
      const server = http.createServer((request) => upgrade(request, ...upgradeOf(request)));
      return { server, sockets: attach(new WebSocketServer({ server }), { clock, onError }) };
    },
    connect,
  );
});

describe("host", () => {
  conformOn(
    capabilities,
    (upgradeOf, clock) => {
      const server = http.createServer();
      const sockets = hosting({ clock, onError });
      new WebSocketServer({ server }).on("connection", (socket, request) =>
        sockets.host(socket, request, ...upgradeOf(request)),
      );
      return { server, sockets };
    },
    connect,
  );
});
