/** The tiny echo server over HTTP/2, with the flaws that are specific to it. */
import { once } from "node:events";
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { acceptOf, agree, type Flaw, type Flaws } from "./tiny-handshake.ts";
import { Connection } from "./tiny-server.ts";

const refusalOf = (
  { endAfterHeaders }: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  has: Flaws,
): http2.OutgoingHttpHeaders | undefined => {
  if (endAfterHeaders) return { ":status": 400 };
  const isConnect = headers[":method"] === "CONNECT";
  if (!isConnect || (headers[":protocol"] !== "websocket" && !has("any protocol"))) return { ":status": 501 };
  if (headers["sec-websocket-version"] === "13" || has("any version")) return undefined;
  return { ":status": 426, ...(has("no version header") ? {} : { "sec-websocket-version": "13" }) };
};

const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, has: Flaws): void => {
  const { session } = stream;
  stream.on("error", () => undefined);
  const refusal = refusalOf(stream, headers, has);
  if (refusal !== undefined) {
    stream.respond(refusal, { endStream: true });
    // After the response has been sent.
    if (has("a refusal ends all")) stream.once("close", () => session?.destroy());
    return;
  }
  const key = headers["sec-websocket-key"];
  const offered = headers["sec-websocket-extensions"] as string | undefined;
  const agreed = offered === undefined ? undefined : agree(offered, has);
  stream.respond({
    ":status": 200,
    ...(key === undefined ? {} : { "sec-websocket-accept": has("wrong accept") ? key : acceptOf(String(key)) }),
    ...(agreed && { "sec-websocket-extensions": agreed.answer }),
  });
  const connection = new Connection(stream, has, agreed?.params);
  if (has("ends with a reset")) {
    stream.end = (() => {
      stream.end = () => stream; // Node would end the stream before it resets it
      stream.write("", () => stream.close(http2.constants.NGHTTP2_CANCEL));
      return stream;
    }) as typeof stream.end;
  }
  stream.on("data", (chunk: Buffer) => connection.feed(chunk));
  stream.on("end", () => !has("half-open") && stream.end());
  stream.on("aborted", () => has("a reset ends all") && session?.destroy());
};

/** Listens on loopback. */
export const tinyHttp2Server = async (...flaws: readonly Flaw[]): Promise<{ url: string; close(): void }> => {
  const has = (flaw: Flaw): boolean => flaws.includes(flaw);
  const sessions = new Set<ServerHttp2Session>();
  const server = http2.createServer({ settings: { enableConnectProtocol: !has("no setting") } });
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined).on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => onStream(stream, headers, has));
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
};
