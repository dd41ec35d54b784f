/** Requests that no client of HTTP/2 would send, octet by octet (RFC 9113 §4.1, RFC 7541 §6.2.2). */
import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";
import { RawClient } from "./raw-client.ts";

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const GOAWAY = 7;

export interface Http2Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

const frameOf = (type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};

/** A literal of less than 127 octets, without indexing and without Huffman. */
const literal = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);

export class RawHttp2 {
  private readonly client: RawClient;

  private constructor(client: RawClient) {
    this.client = client;
  }

  static async open(port: number): Promise<RawHttp2> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    const raw = new RawHttp2(RawClient.of(socket));
    raw.client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frameOf(SETTINGS, 0, 0));
    return raw;
  }

  /** Sends a request that leaves its stream open. */
  request(stream: number, headers: readonly (readonly [string, string])[]): void {
    const block = headers.map(([name, value]) => Buffer.concat([Buffer.from([0]), literal(name), literal(value)]));
    this.client.send(frameOf(HEADERS, 0x4, stream, Buffer.concat(block)));
  }

  /** The next frame about a stream. */
  async frame(): Promise<Http2Frame> {
    for (;;) {
      const head = await this.client.take(9);
      const payload = await this.client.take(head.readUIntBE(0, 3));
      const frame = { type: head[3]!, flags: head[4]!, stream: head.readUInt32BE(5) & 0x7fffffff, payload };
      if (frame.stream !== 0 || frame.type === GOAWAY) return frame;
    }
  }
}
