/** Opens WebSockets over HTTP/2 (RFC 8441): `http://` without TLS, with prior knowledge, and `https://` over TLS. */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import { Failure } from "./outcome.ts";
import {
  type Http2Connection,
  type Http2Fields,
  type HttpAnswer,
  type Offer,
  type Opened,
  Refused,
  type TargetOptions,
  type WireTarget,
} from "./target.ts";

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants;

const failure = (why: string, cause?: Error): Failure => new Failure(`the connection: ${why}`, { cause });

/** Waits for the server's settings: without ENABLE_CONNECT_PROTOCOL a client may not open a WebSocket (RFC 8441 §3). */
const connect = (url: URL, { insecure = false, timeout = 10_000 }: TargetOptions): Promise<ClientHttp2Session> =>
  new Promise((resolve, reject) => {
    const session = http2.connect(url.origin, { rejectUnauthorized: !insecure });
    const fail = (error: Failure): void => {
      clearTimeout(timer);
      reject(error);
      session.destroy();
    };
    const timer = setTimeout(() => fail(failure(`no settings within ${timeout} ms`)), timeout);
    session.on("error", (error) => fail(failure(error.message, error)));
    session.once("close", () => fail(failure("closed before the server's settings")));
    session.once("remoteSettings", ({ enableConnectProtocol }) => {
      if (enableConnectProtocol !== true) {
        fail(failure("the server's settings do not have ENABLE_CONNECT_PROTOCOL (RFC 8441 §3)"));
        return;
      }
      clearTimeout(timer);
      resolve(session);
    });
  });

/** @returns `undefined` if the stream was reset */
const answerOf = (stream: ClientHttp2Stream, timeout: number): Promise<HttpAnswer | undefined> =>
  new Promise((resolve, reject) => {
    const { session } = stream;
    const timer = setTimeout(() => reject(new Failure(`no response within ${timeout} ms`)), timeout);
    stream.once("response", ({ ":status": status, ...fields }) => {
      clearTimeout(timer);
      const headers = Object.entries(fields).map(([name, value]) => [name, [value].flat().join(", ")]);
      resolve({ status: status!, headers: Object.fromEntries(headers) });
    });
    stream.once("close", () => {
      clearTimeout(timer);
      if (session?.destroyed === false) resolve(undefined);
      else reject(failure("ended without a response"));
    });
  });

/** RFC 8441 §5: the equivalent of a TCP reset. */
const cancel = (stream: ClientHttp2Stream): void => {
  stream.end = () => stream; // Node would end the stream normally before it resets it
  stream.close(NGHTTP2_CANCEL);
  stream.resume(); // unread data would keep the stream open
};

class Connection implements Http2Connection {
  private readonly url: URL;
  private readonly timeout: number;
  private readonly session: ClientHttp2Session;
  private streams = 0;

  constructor(url: URL, timeout: number, session: ClientHttp2Session) {
    this.url = url;
    this.timeout = timeout;
    this.session = session;
  }

  async request(changes: Http2Fields, endStream = false): Promise<HttpAnswer | undefined> {
    const { stream, answer } = await this.exchange(changes, endStream);
    cancel(stream);
    return answer;
  }

  async open({ extensions = [], protocols = [] }: Offer): Promise<Opened> {
    const { stream, answer } = await this.exchange({
      // Whitespace around a value is not part of it (RFC 9110 §5.5), and is not allowed here (RFC 9113 §8.2.1).
      "sec-websocket-extensions": [extensions].flat().map((one) => one.trim()),
      "sec-websocket-protocol": protocols.length > 0 ? protocols.join(", ") : undefined,
    });
    if (answer === undefined) throw new Failure("the server reset the stream instead of sending a response");
    // RFC 9110 §9.3.6: any 2xx switches the stream to tunnel mode.
    if (answer.status < 200 || answer.status > 299) {
      cancel(stream);
      throw new Refused(answer.status);
    }
    return {
      stream,
      reset: () => cancel(stream),
      whyReset: () => {
        if (stream.rstCode === NGHTTP2_NO_ERROR) return undefined;
        return this.session.destroyed ? "with the whole connection" : `RST_STREAM with code ${stream.rstCode}`;
      },
      extensions: answer.headers["sec-websocket-extensions"],
      protocol: answer.headers["sec-websocket-protocol"],
    };
  }

  private async exchange(
    changes: Http2Fields,
    endStream = false,
  ): Promise<{ stream: ClientHttp2Stream; answer: HttpAnswer | undefined }> {
    const stream = this.send(changes, endStream);
    try {
      return { stream, answer: await answerOf(stream, this.timeout) };
    } catch (error) {
      cancel(stream);
      throw error;
    }
  }

  private send(changes: Http2Fields, endStream: boolean): ClientHttp2Stream {
    const { url, session } = this;
    const fields = {
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": url.protocol.slice(0, -1),
      ":path": `${url.pathname}${url.search}`,
      ":authority": url.host,
      "sec-websocket-version": "13",
      ...changes,
    };
    const present = Object.entries(fields).filter(([, value]) => value !== undefined);
    const stream = session.request(Object.fromEntries(present) as http2.OutgoingHttpHeaders, { endStream });
    this.streams++;
    stream.on("error", () => undefined);
    stream.once("close", () => {
      if (--this.streams === 0) session.close();
    });
    return stream;
  }
}

/**
 * A server over HTTP/2.
 *
 * @param address an `http:` or `https:` URL
 * @throws TypeError for any other URL
 */
export const http2Target = (address: string, options: TargetOptions = {}): WireTarget => {
  const url = new URL(address);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`${address} is not an http: or https: URL`);
  }
  const begin = async (): Promise<Connection> =>
    new Connection(url, options.timeout ?? 10_000, await connect(url, options));
  // One connection per WebSocket: large messages would delay the others on a shared connection.
  return { open: async (offer) => (await begin()).open(offer), connect: begin };
};
