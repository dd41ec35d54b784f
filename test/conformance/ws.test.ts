import http from "node:http";
import { describe } from "vitest";
import { attach, capabilities, hosting } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { inOwnContext } from "../../packages/websock-conformance/src/handlers/index.ts";
import { conformOn, upgradeScripted } from "../support/conformance-on-node.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

const onError = (): void => undefined;
const connect = (port: number, path: string) => connectWs(`ws://127.0.0.1:${port}${path}`);

describe("attach", () => {
  conformOn(
    capabilities,
    (upgradeOf, clock) => {
      const server = http.createServer((request) => upgradeScripted(request, upgradeOf(request)));
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
      new WebSocketServer({ server }).on("connection", (socket, request) => {
        const [handler, arg, options] = upgradeOf(request);
        inOwnContext(arg.id, () => sockets.host(socket, request, handler, arg, options));
      });
      return { server, sockets };
    },
    connect,
  );
});
