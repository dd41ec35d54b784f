/** A stream and a session that write down what a connection asks of them. */
import type { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage } from "../../src/message.ts";
import { type Octets, portableOctets } from "../../src/protocol/byte-ops.ts";
import { type ByteStream, Connection } from "../../src/protocol/connection.ts";
import type { ParserLimits } from "../../src/protocol/frame-parser.ts";
import type { Capabilities, TransportEvents } from "../../src/transport.ts";
import { type Frame, frame, join, serverFrames, utf8 } from "../support/client-frames.ts";
import { NO_LIMITS } from "./parsing.ts";

const CAPABILITIES: Capabilities = {
  host: "fake",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: true,
  abort: true,
  asyncContext: true,
  crossConnection: true,
  compress: false,
  idleClock: true,
  ignores: [],
};

/** A stream whose peer takes everything at once, unless it is stalled. */
export class FakeStream implements ByteStream {
  atOnce = false;
  buffered = 0;
  taken = 0;
  /** What was asked, in order: `write` with its size, `end`, `destroy`, `pause`, `resume`. */
  readonly log: string[] = [];
  readonly written: Uint8Array[] = [];
  stalled = false;
  connection!: Connection;
  private flushes = 0;

  write(parts: readonly Uint8Array[]): void {
    const bytes = join(...parts);
    this.log.push("write");
    this.written.push(bytes);
    if (this.stalled) this.buffered += bytes.length;
    else this.taken += bytes.length;
  }
  end(): void {
    this.log.push("end");
  }
  destroy(): void {
    this.log.push("destroy");
  }
  pause(): void {
    this.log.push("pause");
  }
  resume(): void {
    this.log.push("resume");
  }
  answersAtOnce(): boolean {
    return this.atOnce;
  }
  flushSoon(): void {
    this.flushes++;
  }

  /** How often a flush was asked for since the last turn. */
  get flushesAsked(): number {
    return this.flushes;
  }

  /** The code that ran has returned to the event loop. */
  turn(): void {
    const asked = this.flushes;
    this.flushes = 0;
    for (let i = 0; i < asked; i++) this.connection.flush();
  }

  /** The peer takes all that waits. */
  drain(): void {
    this.taken += this.buffered;
    this.buffered = 0;
    this.connection.sent();
    this.connection.drained();
  }

  get frames(): { first: number; payload: Uint8Array }[] {
    return serverFrames(join(...this.written));
  }

  /** What was sent, in words. */
  get sent(): string[] {
    const names: Record<number, string> = { 129: "text", 130: "binary", 136: "close", 137: "ping", 138: "pong" };
    return this.frames.map(({ first, payload }) =>
      first === 0x88 && payload.length > 0
        ? `close ${(payload[0]! << 8) | payload[1]!} ${utf8(payload.subarray(2))}`.trim()
        : `${names[first] ?? first} ${utf8(payload)}`.trim(),
    );
  }
}

/** A session that writes down what it is told; `on` may answer. */
export class FakeSession implements TransportEvents {
  enter<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void {
    task.apply(target, args);
  }

  inherit = this.enter;

  readonly log: string[] = [];
  readonly on: {
    message?: (message: DataMessage, size: number) => void;
    control?: (message: ControlMessage) => void;
    closing?: (code: number | undefined, text: string) => void;
    failed?: (error: ProtocolError) => void;
    drained?: () => void;
  } = {};

  received(): void {
    this.log.push("received");
  }
  text(data: string, size: number): void {
    this.log.push(`text ${data}`.trim());
    this.on.message?.({ opcode: "text", data }, size);
  }
  binary(data: Uint8Array<ArrayBuffer>): void {
    this.log.push(`binary ${utf8(data)}`.trim());
    this.on.message?.({ opcode: "binary", data }, data.length);
  }
  control(message: ControlMessage): void {
    this.log.push(`${message.opcode} ${utf8(message.data)}`.trim());
    this.on.control?.(message);
  }
  closing(code: number | undefined, text: string): void {
    this.log.push(`closing ${code} ${text}`.trim());
    this.on.closing?.(code, text);
  }
  failed(error: ProtocolError): void {
    this.log.push(`failed ${error.code}`);
    this.on.failed?.(error);
  }
  drained(): void {
    this.log.push("drained");
    this.on.drained?.();
  }
  idle(): void {
    this.log.push("idle");
  }
  stopped(): void {
    this.log.push("stopped");
  }
  disconnected(): void {
    this.log.push("disconnected");
  }

  /** Without what says only that something arrived. */
  get events(): string[] {
    return this.log.filter((entry) => entry !== "received" && entry !== "drained");
  }
}

export const makeWire = (octets: Octets = portableOctets, limits: Partial<ParserLimits> = {}) => {
  const stream = new FakeStream();
  const session = new FakeSession();
  const connection = new Connection(stream, octets, { ...NO_LIMITS, ...limits }, CAPABILITIES);
  stream.connection = connection;
  connection.open(session);
  return {
    stream,
    session,
    connection,
    /** The peer sends these frames in one chunk. */
    receive: (...frames: readonly Frame[]): void => connection.receive(join(...frames.map(frame))),
    send: (data: string): void => connection.send("text", data, new TextEncoder().encode(data).length),
  };
};
