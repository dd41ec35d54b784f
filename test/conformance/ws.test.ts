import http from "node:http";
import { describe } from "vitest";
import { attach, capabilities, hosting } from "websock-js/ws";
import { WebSocketServer } from "ws";
import { inOwnContext } from "../../packages/websock-conformance/src/handlers/index.ts";
import { conformOn, upgradeScripted } from "../support/conformance-on-node.ts";
import type { ConnectClient } from "../support/connect-client.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

const onError = (): void => undefined;
const connect: ConnectClient = (port, path, offersCompression) =>
  connectWs(`ws://127.0.0.1:${port}${path}`, offersCompression);

describe("attach", () => {
  conformOn(
    capabilities,
    (upgradeOf, clock) => {
      const server = http.createServer((request) => upgradeScripted(request, upgradeOf(request)));
      return { server, sockets: attach(new WebSocketServer({ server, perMessageDeflate: true }), { clock, onError }) };
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
      new WebSocketServer({ server, perMessageDeflate: true }).on("connection", (socket, request) => {
        const [handler, arg, options] = upgradeOf(request);
        inOwnContext(arg.id, () => sockets.host(socket, request, handler, arg, options));
      });
      return { server, sockets };
    },
    connect,
  );
});
