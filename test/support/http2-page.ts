/**
 * An HTTPS server with HTTP/2 for browsers. It serves a page, and a WebSocket that records how it was opened.
 */
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { type ConnectionInfo, ok, push, stop, text, upgrade, type WebSock } from "websock-js";
import { selfSigned } from "../../scripts/certificate.mjs";
import { type ServedHttp2, serveHttp2 } from "./http2-server.ts";

export interface Opened {
  connection: ConnectionInfo | undefined;
  /** The HTTP/2 session that carries the WebSocket, and the id of its stream. `undefined` over HTTP/1.1. */
  readonly session: ServerHttp2Session | undefined;
  readonly stream: number | undefined;
  /** The headers of the request as received. */
  readonly rawHeaders: readonly string[];
  /** The bytes of all frames from the client and to it, after compression. */
  received: number;
  sent: number;
}

/** Echoes messages. Answers "how?" with the version and the method, and closes with 4002 on "close me". */
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

/** Counts the bytes that a stream receives and that are written to it. */
const weigh = (stream: ServerHttp2Stream | undefined, opened: Opened): void => {
  if (stream === undefined) return; // HTTP/1.1
  const { write, push } = stream;
  stream.write = ((...args: [Uint8Array]) => {
    opened.sent += args[0].length;
    return Reflect.apply(write, stream, args);
  }) as typeof write;
  stream.push = ((...args: [Uint8Array | null]) => {
    opened.received += args[0]?.length ?? 0;
    return Reflect.apply(push, stream, args);
  }) as typeof push;
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
      const arg: Opened = {
        connection: undefined,
        session,
        stream: req.stream?.id,
        rawHeaders: [...req.rawHeaders],
        received: 0,
        sent: 0,
      };
      opened.push(arg);
      weigh(req.stream, arg);
      upgrade(req, handler, arg, { subprotocols: ["chat"], compress: true });
    },
    { tls: { ...selfSigned(), allowHTTP1: true } },
  );
  return { ...served, opened };
};
