/**
 * A client that sends exactly what the test tells it to, over a plain socket or another stream. It waits for events,
 * never for a fixed time.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import type { ClientHttp2Stream } from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { resetStream } from "./http2-client.ts";
import { CLOSE, type Frame, readFrame } from "./raw-frames.ts";

/** `undefined` leaves a header out, a list sends it several times. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface Answer {
  readonly status: number;
  /** Names in lower case; several values are joined by newlines. */
  readonly headers: Readonly<Record<string, string>>;
  /** The head as received. */
  readonly head: string;
  readonly body: string;
}

export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

export const requestOf = (line: string, headers: Headers): string => {
  let text = `${line}\r\n`;
  for (const [name, value] of Object.entries(headers)) {
    for (const one of value === undefined ? [] : [value].flat()) text += `${name}: ${one}\r\n`;
  }
  return `${text}\r\n`;
};

/** A valid opening handshake, with some of its headers replaced. */
export const handshake = (headers: Headers = {}, line = "GET / HTTP/1.1"): string =>
  requestOf(line, {
    Host: "localhost",
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
    ...headers,
  });

export class RawClient<Stream extends Duplex = net.Socket> {
  readonly socket: Stream;
  /** How the server's direction ended. */
  readonly ended: Promise<"end" | "reset">;
  private chunks: Buffer[] = [];
  private length = 0;
  private over = false;
  private wake: () => void = () => {};

  private constructor(socket: Stream) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.chunks.push(chunk);
      this.length += chunk.length;
      this.wake();
    });
    this.ended = new Promise((resolve) => {
      socket.once("end", () => resolve("end"));
      socket.once("error", () => resolve("reset"));
      socket.once("close", () => resolve("end"));
    });
    this.ended.then(() => {
      this.over = true;
      this.wake();
    });
    socket.on("error", () => {});
  }

  /** Uses a stream that is already open. */
  static of<Stream extends Duplex>(socket: Stream): RawClient<Stream> {
    return new RawClient(socket);
  }

  static async open(port: number): Promise<RawClient> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const client = new RawClient(socket);
    await once(socket, "connect");
    socket.setNoDelay(true);
    return client;
  }

  /** Connects and performs the opening handshake. */
  static async upgraded(port: number, headers: Headers = {}): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send(handshake(headers));
    await client.accepted();
    return client;
  }

  send(...parts: readonly (string | Uint8Array)[]): this {
    this.socket.write(Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part))));
    return this;
  }

  /** Writes each byte separately, and waits until it is flushed before it writes the next one. */
  async trickle(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      await new Promise<void>((resolve) => this.socket.write(Uint8Array.of(byte), () => resolve()));
    }
  }

  /** Ends our direction only. */
  end(): this {
    this.socket.end();
    return this;
  }

  reset(): Promise<unknown> {
    const closed = this.socket.closed ? Promise.resolve() : once(this.socket, "close");
    if (this.socket instanceof net.Socket) this.socket.resetAndDestroy();
    else if ("rstCode" in this.socket) resetStream(this.socket as unknown as ClientHttp2Stream);
    else this.socket.destroy();
    return closed;
  }

  /** The next `size` bytes. */
  async take(size: number): Promise<Buffer> {
    await this.until(() => this.length >= size, `${size} bytes`);
    const { received } = this;
    this.chunks = [received.subarray(size)];
    this.length -= size;
    return received.subarray(0, size);
  }

  /** Everything that is received until the server ends its direction, without a reset. */
  async rest(): Promise<Buffer> {
    if ((await this.ended) === "reset") throw new Error("the connection was reset");
    return this.take(this.length);
  }

  async head(): Promise<Omit<Answer, "body">> {
    await this.until(() => this.received.includes("\r\n\r\n"), "a response head");
    const head = (await this.take(this.received.indexOf("\r\n\r\n") + 4)).toString("latin1");
    const headers: Record<string, string> = {};
    for (const line of head.split("\r\n").slice(1, -2)) {
      const [name, value] = [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()];
      headers[name] = name in headers ? `${headers[name]}\n${value}` : value;
    }
    return { status: Number(head.split(" ")[1]), headers, head };
  }

  /** A complete response. */
  async answer(): Promise<Answer> {
    const head = await this.head();
    return { ...head, body: (await this.body(head.headers)).toString() };
  }

  private async body(headers: Answer["headers"]): Promise<Buffer> {
    if (headers["content-length"] !== undefined) return this.take(Number(headers["content-length"]));
    if (headers["transfer-encoding"] !== "chunked") return this.rest();
    const chunks: Buffer[] = [];
    for (;;) {
      await this.until(() => this.received.includes("\r\n"), "a chunk");
      const size = Number.parseInt((await this.take(this.received.indexOf("\r\n") + 2)).toString(), 16);
      chunks.push((await this.take(size + 2)).subarray(0, size));
      if (size === 0) return Buffer.concat(chunks);
    }
  }

  /** The response to the handshake, which must accept it (RFC 6455 §4.1). */
  async accepted(): Promise<Omit<Answer, "body">> {
    const head = await this.head();
    const accept = createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    if (head.status !== 101 || head.headers["sec-websocket-accept"] !== accept) {
      throw new Error(`not accepted:\n${head.head}`);
    }
    return head;
  }

  frame(): Promise<Frame> {
    return readFrame((size) => this.take(size));
  }

  /** The next frame, which must be text. */
  async text(): Promise<string> {
    const { opcode, payload } = await this.frame();
    if (opcode !== 1) throw new Error(`opcode ${opcode}: ${payload.toString("latin1")}`);
    return payload.toString();
  }

  /** The code of the next frame, which must be a close frame; 1005 for an empty one. */
  async closeCode(): Promise<number> {
    const { opcode, payload } = await this.frame();
    if (opcode !== CLOSE) throw new Error(`opcode ${opcode}: ${payload.toString("latin1")}`);
    return payload.length === 0 ? 1005 : payload.readUInt16BE();
  }

  /** The bytes that were received, but not taken yet. */
  private get received(): Buffer {
    if (this.chunks.length !== 1) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0]!;
  }

  private async until(enough: () => boolean, what: string): Promise<void> {
    while (!enough()) {
      if (this.over) throw new Error(`the connection ended before ${what}; got ${JSON.stringify(`${this.received}`)}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}
