/**
 * A server over HTTPS and HTTP/2 as browsers find it: a page, and a WebSocket beside it that tells how it was opened.
 */
import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
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
  /** Octets in the frames that came from the client and went to it: compressed, where they are. */
  received: number;
  sent: number;
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

/** Counts what goes through a stream, without its taking part in it. */
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
