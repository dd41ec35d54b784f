/** A server of `node:http2` on loopback for one test. */
import { once } from "node:events";
import http2, { type Http2ServerRequest, type Http2ServerResponse, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type Attachment, type AttachOptions, attach } from "websock-js/node";

export type Http2Listener = (request: Http2ServerRequest, response: Http2ServerResponse) => unknown;

export interface ServedHttp2 {
  readonly server: http2.Http2Server | http2.Http2SecureServer;
  readonly sockets: Attachment;
  readonly port: number;
  readonly url: string;
  /** The errors that `onError` has received. */
  readonly errors: unknown[];
  /** Every session that was accepted, oldest first. */
  readonly sessions: ServerHttp2Session[];
}

/** Listens until the test is over. */
export const serveHttp2 = async (
  listener: Http2Listener | readonly Http2Listener[],
  options: AttachOptions & { readonly tls?: http2.SecureServerOptions } = {},
): Promise<ServedHttp2> => {
  const { tls, ...attachOptions } = options;
  const server = tls === undefined ? http2.createServer() : http2.createSecureServer(tls);
  for (const one of [listener].flat() as Http2Listener[]) server.on("request", (req, res) => one(req, res));
  const errors: unknown[] = [];
  const sockets = attach(server, { onError: (error) => errors.push(error), ...attachOptions });
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  onTestFinished(async () => {
    const closed = once(server, "close");
    server.close();
    for (const session of sessions) session.destroy();
    if ("closeAllConnections" in server) (server.closeAllConnections as () => void)();
    await closed;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    server,
    sockets,
    port,
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
    errors,
    sessions,
  };
};
