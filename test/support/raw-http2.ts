/** Sends HTTP/2 requests that no ordinary client would send, byte by byte (RFC 9113 §4.1, RFC 7541 §6). */
import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";
import { RawClient } from "./raw-client.ts";

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const CONTINUATION = 9;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;

export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export const frameOf = (
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** A length as an integer with a prefix of 7 bits (RFC 7541 §5.1). */
const lengthOf = (length: number): number[] => {
  if (length < 127) return [length];
  const bytes = [127];
  let rest = length - 127;
  for (; rest >= 128; rest >>= 7) bytes.push(128 | (rest & 127));
  return [...bytes, rest];
};

/** A string literal without Huffman coding (RFC 7541 §5.2). */
const literal = (text: string): Buffer => Buffer.concat([Buffer.from(lengthOf(text.length)), Buffer.from(text)]);

/** A header field as literals (RFC 7541 §6.2). If `indexed`, the decoder adds it to its dynamic table. */
export const field = (name: string, value: string, indexed = false): Buffer =>
  Buffer.concat([Buffer.from([indexed ? 0x40 : 0]), literal(name), literal(value)]);

/** The fields of a valid extended CONNECT for a WebSocket (RFC 8441 §5). */
export const connectFields = (path = "/"): Buffer =>
  Buffer.concat([
    field(":method", "CONNECT"),
    field(":protocol", "websocket"),
    field(":scheme", "http"),
    field(":path", path),
    field(":authority", "localhost"),
    field("sec-websocket-version", "13"),
  ]);

export class RawHttp2 {
  private readonly client: RawClient;

  private constructor(client: RawClient) {
    this.client = client;
  }

  static async open(port: number): Promise<RawHttp2> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return RawHttp2.of(RawClient.of(socket));
  }

  /** Uses a connection that is already open. */
  static of(client: RawClient): RawHttp2 {
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frameOf(SETTINGS, 0, 0));
    return new RawHttp2(client);
  }

  /** How the server's direction of the connection ended. */
  get ended(): Promise<"end" | "reset"> {
    return this.client.ended;
  }

  send(...parts: readonly Uint8Array[]): this {
    this.client.send(...parts);
    return this;
  }

  /** Sends a request that leaves its stream open. */
  request(stream: number, headers: readonly (readonly [string, string])[]): void {
    const block = headers.map(([name, value]) => field(name, value));
    this.send(frameOf(HEADERS, END_HEADERS, stream, Buffer.concat(block)));
  }

  /** The next frame of any stream, or GOAWAY. */
  async frame(): Promise<Http2Frame> {
    for (;;) {
      const frame = await this.any();
      if (frame.stream !== 0 || frame.type === GOAWAY) return frame;
    }
  }

  /** The next frame, including those about the connection. */
  async any(): Promise<Http2Frame> {
    const head = await this.client.take(9);
    const payload = await this.client.take(head.readUIntBE(0, 3));
    return { type: head[3]!, flags: head[4]!, stream: head.readUInt32BE(5) & 0x7fffffff, payload };
  }
}
