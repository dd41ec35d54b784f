/** Opens WebSockets over HTTP/1.1 (RFC 6455 §4.1): `ws://` over a socket, `wss://` over TLS. */
import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { Failure } from "./outcome.ts";
import { type HttpAnswer, type Offer, type Opened, Refused, type TargetOptions, type WireTarget } from "./target.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The largest head of a response, in bytes. */
const MAX_HEAD = 65_536;

const parseHead = (head: string): HttpAnswer => {
  const [statusLine, ...lines] = head.split("\r\n") as [string, ...string[]];
  const status = /^HTTP\/1\.[01] (\d{3})( |$)/.exec(statusLine);
  if (status === null) throw new Failure(`the response is not HTTP/1: ${JSON.stringify(statusLine.slice(0, 80))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return { status: Number(status[1]), headers };
};

/** Reads the head of a response, and leaves the rest in the stream. */
const readHead = (stream: Duplex, timeout: number): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (error: Error | undefined, answer?: HttpAnswer): void => {
      clearTimeout(timer);
      stream.off("data", onData).off("error", settle).off("close", onClose).off("end", onClose);
      if (error) reject(new Failure(`the opening handshake: ${error.message}`, { cause: error }));
      else resolve(answer!);
    };
    const onClose = (): void => settle(new Error("the connection was closed without a response"));
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf("\r\n\r\n");
      if (end === -1) {
        if (received.length > MAX_HEAD) settle(new Error("the head of the response does not end"));
        return;
      }
      stream.pause();
      try {
        settle(undefined, parseHead(received.toString("latin1", 0, end)));
      } catch (error) {
        settle(error as Error);
      }
      if (received.length > end + 4) stream.unshift(received.subarray(end + 4));
    };
    const timer = setTimeout(() => settle(new Error(`no response within ${timeout} ms`)), timeout);
    stream.on("data", onData).on("error", settle).on("close", onClose).on("end", onClose);
  });

const connect = (url: URL, { insecure = false }: TargetOptions): Duplex => {
  const secure = url.protocol === "wss:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const to = { host, port: Number(url.port || (secure ? 443 : 80)), allowHalfOpen: true };
  const socket = secure
    ? tls.connect({ ...to, rejectUnauthorized: !insecure, ...(net.isIP(host) ? {} : { servername: host }) })
    : net.connect(to);
  socket.setNoDelay(true);
  return socket;
};

const write = (stream: Duplex, chunk: string): Promise<void> =>
  new Promise((resolve) => stream.write(chunk, "latin1", () => resolve()));

export const acceptFor = (key: string): string =>
  createHash("sha1")
    .update(key + GUID)
    .digest("base64");

/**
 * A server over HTTP/1.1.
 *
 * @param address a `ws:` or `wss:` URL
 * @throws TypeError for any other URL
 */
export const http1Target = (address: string, options: TargetOptions = {}): WireTarget => {
  const url = new URL(address);
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError(`${address} is not a ws: or wss: URL`);
  const path = `${url.pathname}${url.search}`;
  const { timeout = 10_000 } = options;

  const exchange = async (chunks: readonly string[]): Promise<{ stream: Duplex; answer: HttpAnswer }> => {
    const stream = connect(url, options);
    try {
      const head = readHead(stream, timeout);
      head.catch(() => undefined);
      for (const chunk of chunks) await Promise.race([write(stream, chunk), head]);
      return { stream, answer: await head };
    } catch (error) {
      stream.on("error", () => undefined).destroy();
      throw error;
    }
  };

  return {
    path,
    host: url.host,
    request: async (chunks) => {
      const { stream, answer } = await exchange(chunks);
      stream.on("error", () => undefined).destroy();
      return answer;
    },
    open: async ({ extensions = [], protocols = [] }: Offer): Promise<Opened> => {
      const key = randomBytes(16).toString("base64");
      const lines = [
        `GET ${path} HTTP/1.1`,
        `Host: ${url.host}`,
        "Upgrade: websocket",
        "Connection: Upgrade",
        `Sec-WebSocket-Key: ${key}`,
        "Sec-WebSocket-Version: 13",
        ...[extensions].flat().map((one) => `Sec-WebSocket-Extensions: ${one}`),
        ...(protocols.length > 0 ? [`Sec-WebSocket-Protocol: ${protocols.join(", ")}`] : []),
      ];
      const { stream, answer } = await exchange([`${lines.join("\r\n")}\r\n\r\n`]);
      const { status, headers } = answer;
      const accepted = status === 101 && headers["sec-websocket-accept"] === acceptFor(key);
      if (!accepted) stream.on("error", () => undefined).destroy();
      if (status !== 101) throw new Refused(status);
      if (!accepted) throw new Failure("Sec-WebSocket-Accept of the response does not match the key (§4.2.2)");
      return {
        stream,
        extensions: headers["sec-websocket-extensions"],
        protocol: headers["sec-websocket-protocol"],
      };
    },
  };
};
