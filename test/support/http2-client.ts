/**
 * A client that opens WebSockets over HTTP/2 (RFC 8441) with `node:http2` alone; it shares no code with the library.
 */
import { once } from "node:events";
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import { onTestFinished } from "vitest";

/** `undefined` leaves a header out. */
export type Http2Headers = Readonly<Record<string, string | string[] | undefined>>;

/**
 * Connects, and waits for the server's settings: a client may open a WebSocket only after it has received
 * SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 §3).
 */
export const connectHttp2 = async (
  url: string,
  options: http2.SecureClientSessionOptions = {},
): Promise<ClientHttp2Session> => {
  const session = http2.connect(url, { rejectUnauthorized: false, ...options });
  session.on("error", () => {});
  const [settings] = (await once(session, "remoteSettings")) as [http2.Settings];
  if (settings.enableConnectProtocol !== true) throw new Error("the server does not support extended CONNECT");
  return session;
};

/** The same. The session is destroyed when the test is over. */
export const testHttp2 = async (
  url: string,
  options: http2.SecureClientSessionOptions = {},
): Promise<ClientHttp2Session> => {
  const session = await connectHttp2(url, options);
  onTestFinished(() => session.destroy());
  return session;
};

/** The headers of a valid upgrade request, with some of them replaced. */
export const connectRequest = (session: ClientHttp2Session, headers: Http2Headers = {}): http2.OutgoingHttpHeaders => {
  const url = new URL(session.originSet?.[0] ?? "http://localhost");
  const all = {
    ":method": "CONNECT",
    ":protocol": "websocket",
    ":scheme": session.encrypted ? "https" : "http",
    ":path": "/",
    ":authority": url.host,
    "sec-websocket-version": "13",
    ...headers,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
};

/** Sends a request, valid or not, and returns its stream immediately. */
export const request = (
  session: ClientHttp2Session,
  headers: Http2Headers = {},
  endStream = false,
): ClientHttp2Stream => {
  const stream = session.request(connectRequest(session, headers), { endStream });
  stream.on("error", () => {});
  return stream;
};

/** Resets a stream as RFC 8441 §5 says, without ending it first, as Node itself would. */
export const resetStream = (stream: ClientHttp2Stream): void => {
  stream.end = () => stream;
  stream.close(http2.constants.NGHTTP2_CANCEL);
};

export type Http2Answer = IncomingHttpHeaders & { readonly ":status": number };

/** The headers of the response. */
export const answerOf = async (stream: ClientHttp2Stream): Promise<Http2Answer> => {
  const closed = once(stream, "close").then(() => {
    throw new Error(`the stream was closed with ${stream.rstCode} before an answer`);
  });
  const [headers] = await Promise.race([once(stream, "response"), closed]);
  closed.catch(() => {});
  return headers as Http2Answer;
};

/** Sends a request, and returns the complete response. */
export const wholeAnswer = async (
  session: ClientHttp2Session,
  headers: Http2Headers = {},
  endStream = false,
): Promise<{ readonly status: number; readonly headers: Http2Answer; readonly body: string }> => {
  const stream = request(session, headers, endStream);
  const answer = await answerOf(stream);
  let body = "";
  for await (const chunk of stream.setEncoding("utf8")) body += chunk;
  return { status: answer[":status"], headers: answer, body };
};

/**
 * Opens a WebSocket, on the given session or on a new one to the given URL. Returns the stream that carries the frames,
 * with the headers of the response.
 *
 * @throws Error if it is refused
 */
export const openHttp2Stream = async (
  to: ClientHttp2Session | string,
  headers: Http2Headers = {},
): Promise<ClientHttp2Stream & { readonly answer: Http2Answer }> => {
  const session = typeof to === "string" ? await connectHttp2(to) : to;
  const stream = request(session, headers);
  if (typeof to === "string") stream.once("close", () => session.close());
  const answer = await answerOf(stream);
  if (answer[":status"] !== 200) throw new Error(`not accepted: ${answer[":status"]}`);
  return Object.assign(stream, { answer });
};
