/** A WebSocketServer of `ws` on loopback for one test. */
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { type AttachOptions, attach, type Hosting, hosting } from "websock-js/ws";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";

/** Listens until the test is over. */
export const listen = async (server: http.Server): Promise<number> => {
  const connections = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => connections.add(socket));
  onTestFinished(async () => {
    for (const socket of connections) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
};

/** Serves an app whose upgrade requests a WebSocketServer of `ws` accepts. */
export const serveByWs = async (
  listener: http.RequestListener,
  { ws = {}, ...options }: AttachOptions & { readonly ws?: ServerOptions } = {},
) => {
  const server = http.createServer(listener);
  const errors: unknown[] = [];
  const webSocketServer = new WebSocketServer({ server, ...ws });
  const sockets = attach(webSocketServer, { onError: (error) => errors.push(error), ...options });
  return { server, webSocketServer, sockets, errors, port: await listen(server) };
};

/** Serves a WebSocketServer of the application, which passes each of its sockets to `onSocket`. */
export const acceptByWs = async (
  onSocket: (sockets: Hosting, socket: WebSocket, request: http.IncomingMessage) => void,
  { ws = {}, ...options }: Parameters<typeof hosting>[0] & { readonly ws?: ServerOptions } = {},
) => {
  const server = http.createServer();
  const errors: unknown[] = [];
  const sockets = hosting({ onError: (error) => errors.push(error), ...options });
  const webSocketServer = new WebSocketServer({ server, ...ws });
  webSocketServer.on("connection", (socket, request) => onSocket(sockets, socket, request));
  return { server, webSocketServer, sockets, errors, port: await listen(server) };
};
