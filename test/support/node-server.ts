/** A server of `node:http` or `node:https` on loopback for one test, and handlers that tests can inspect. */
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { onTestFinished } from "vitest";
import { type CloseReason, type HandleResult, ok, push, type WebSock } from "websock-js";
import { type Attachment, type AttachOptions, attach } from "websock-js/node";
import { deferred } from "./promises.ts";

export interface Served {
  readonly server: http.Server;
  readonly sockets: Attachment;
  readonly port: number;
  /** The errors that `onError` has received. */
  readonly errors: unknown[];
  /** Every connection that was accepted, oldest first. */
  readonly accepted: Socket[];
}

/** Listens until the test is over. */
export const serve = async (
  listener: http.RequestListener | readonly http.RequestListener[],
  options: AttachOptions & { readonly tls?: https.ServerOptions } = {},
): Promise<Served> => {
  const { tls, ...attachOptions } = options;
  const server = tls === undefined ? http.createServer() : (https.createServer(tls) as unknown as http.Server);
  for (const one of [listener].flat() as http.RequestListener[]) server.on("request", one);
  const errors: unknown[] = [];
  const sockets = attach(server, { onError: (error) => errors.push(error), ...attachOptions });
  const accepted: Socket[] = [];
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    if (!accepted.includes(socket)) accepted.push(socket);
  });
  onTestFinished(async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of accepted) socket.destroy();
    await closed;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, sockets, port: (server.address() as AddressInfo).port, errors, accepted };
};

/** Echoes every message. */
export const Echo: WebSock<unknown, null> = {
  init: () => ok(null),
  handleIn: (message) => push(message, null),
};

/** Echoes every message, and records the calls of its callbacks. */
export class Recorder implements WebSock<unknown, number> {
  readonly inits: unknown[] = [];
  readonly messages: (string | Buffer)[] = [];
  readonly terminated: Promise<CloseReason>;
  private readonly end = deferred<CloseReason>();

  constructor() {
    this.terminated = this.end.promise;
  }

  readonly init = (arg: unknown): HandleResult<number> => {
    this.inits.push(arg);
    return ok(0);
  };

  readonly handleIn: WebSock<unknown, number>["handleIn"] = (message, count) => {
    this.messages.push(typeof message.data === "string" ? message.data : Buffer.from(message.data));
    return push(message, count + 1);
  };

  readonly terminate = (reason: CloseReason): void => this.end.resolve(reason);
}
