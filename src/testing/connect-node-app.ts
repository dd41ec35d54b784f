/** `connectRoute` for apps of `node:http`: Node's HTTP server and client, connected by sockets in memory. */

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { NodeHost } from "../adapters/node/host.ts";
import { Http1Upgrade, interceptUpgrades } from "../adapters/node/http1.ts";
import { OrdinaryRequest } from "../adapters/node/ordinary.ts";
import { guardRequests } from "../adapters/node/requests.ts";
import type { Decision } from "../adapters/shared/decision.ts";
import { codedTypeError } from "../error-codes.ts";
import { UpgradeError } from "../errors.ts";
import { traceFastify } from "../frameworks/fastify-tracing.ts";
import type { UpgradeRequest, WebSockOptions } from "../options.ts";
import type { TestClient } from "./connect.ts";
import { type ConnectedRoute, connected, type NodeApp, type RouteResponse, testCapabilities } from "./memory-route.ts";
import { MemorySocket } from "./memory-socket.ts";

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Sends an upgrade request through `app`, and connects a client if the route upgrades it. */
export const connectNodeApp = async (
  url: URL,
  app: NodeApp,
  headers: Readonly<Record<string, string>>,
  defaults: WebSockOptions | undefined,
): Promise<ConnectedRoute<RouteResponse, unknown>> => {
  const [socket, clientSocket] = MemorySocket.pair(url.protocol === "https:");
  let client: Promise<TestClient<unknown>> | undefined;
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const server = http.createServer(reporting(listenerOf(app), reject));
      const host = new NodeHost(server, undefined, defaults === undefined ? {} : { defaults }, testCapabilities);
      const Upgrade = upgradeTo((decision, facts) => {
        client = connected(decision, facts);
      });
      guardRequests(
        server,
        (request, response) => new OrdinaryRequest(host, request, response),
        new Map([["upgrade", interceptUpgrades(host, Upgrade)]]),
      );
      if ("server" in app) traceFastify(app.server);
      server.emit("connection", socket);
      http
        .request({
          createConnection: () => clientSocket as Duplex as Socket,
          path: url.pathname + url.search,
          headers,
        })
        .on("response", resolve)
        .on("upgrade", resolve)
        .on("error", reject)
        .end();
    });
    const body = client === undefined ? await text(response) : "";
    return { response: { status: response.statusCode!, headers: headersOf(response), body }, client: await client };
  } finally {
    socket.destroy();
  }
};

const listenerOf = (app: NodeApp): Listener => {
  if ("server" in app) return (request, response) => app.server.emit("request", request, response);
  const { listener } = app;
  if (typeof listener !== "function")
    throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `"listener" must be a function, not ${String(listener)}`);
  return listener as Listener;
};

/** Passes errors that the server does not answer to the test; otherwise they would end the process. */
const reporting =
  (listener: Listener, report: (error: unknown) => void): Listener =>
  (...args) => {
    const failed = (error: unknown): void => {
      if (error instanceof UpgradeError) throw error;
      report(error);
    };
    try {
      const result = listener(...args);
      return result instanceof Promise ? result.catch(failed) : result;
    } catch (error) {
      return failed(error);
    }
  };

/** Decides and responds like a server of `node:http`, but runs the connection in memory. */
const upgradeTo = (connect: (decision: Decision, facts: UpgradeRequest) => void): typeof Http1Upgrade =>
  class extends Http1Upgrade {
    protected override perform(decision: Decision): void {
      const { subprotocol } = decision;
      this.upgraded = true;
      this.takeSocket();
      this.sendHead({
        ...this.handshakeHeaders(),
        ...(subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol }),
      });
      connect(decision, this.upgradeRequest);
    }
  };

const headersOf = ({ rawHeaders }: IncomingMessage): Headers => {
  const headers = new Headers();
  for (let i = 0; i < rawHeaders.length; i += 2) headers.append(rawHeaders[i]!, rawHeaders[i + 1]!);
  return headers;
};
