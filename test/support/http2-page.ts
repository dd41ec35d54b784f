/** A server over HTTPS and HTTP/2 as browsers find it: a page, and a WebSocket beside it that tells how it was opened. */
import type { ServerHttp2Session } from "node:http2";
import { type ConnectionInfo, ok, push, stop, text, upgrade, type WebSock } from "websock-js";
import { selfSigned } from "./certificate.ts";
import { type ServedHttp2, serveHttp2 } from "./http2-server.ts";

export interface Opened {
  connection: ConnectionInfo | undefined;
  /** The HTTP/2 session that carries it, and what its stream is. */
  readonly session: ServerHttp2Session | undefined;
  readonly stream: number | undefined;
  /** The request as it came, before anything is made of it. */
  readonly rawHeaders: readonly string[];
}

/** Echoes; "close me" is answered with 4002. */
const handler: WebSock<Opened, ConnectionInfo> = {
  init: (opened, { connection }) => {
    opened.connection = connection;
    return ok(connection);
  },
  handleIn: (message, connection) =>
    message.data === "close me"
      ? stop("normal", connection, { code: 4002, text: "as you wish" })
      : message.data === "how?"
        ? push(text(`HTTP/${connection.httpVersion} ${connection.method}`), connection)
        : push(message, connection),
};

export const servePage = async (): Promise<ServedHttp2 & { readonly opened: Opened[] }> => {
  const opened: Opened[] = [];
  const served = await serveHttp2(
    (req, res) => {
      if (req.url !== "/socket") {
        res.setHeader("content-type", "text/html");
        res.end("<!doctype html><title>page</title>");
        return;
      }
      const session = req.stream?.session as ServerHttp2Session | undefined;
      const arg: Opened = { connection: undefined, session, stream: req.stream?.id, rawHeaders: [...req.rawHeaders] };
      opened.push(arg);
      upgrade(req, handler, arg, { subprotocols: ["chat"] });
    },
    { tls: { ...selfSigned(), allowHTTP1: true } },
  );
  return { ...served, opened };
};
