/** A fake stream and a fake session that record the calls of a connection. */

import type { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage } from "../../src/message.ts";
import { type ByteOps, portableByteOps } from "../../src/protocol/byte-ops.ts";
import type { ByteStream, ByteStreamEvents } from "../../src/protocol/byte-stream.ts";
import { Connection } from "../../src/protocol/connection.ts";
import type { ParserLimits } from "../../src/protocol/frame-parser.ts";
import type { TransportEvents } from "../../src/transport.ts";
import { type Frame, frame, inWords, join, serverFrames, utf8 } from "../support/client-frames.ts";
import { NO_LIMITS } from "./parsing.ts";

/** A stream that flushes everything immediately, unless it is stalled. */
export class FakeStream implements ByteStream {
  flushesNow = false;
  buffered = 0;
  bytesFlushed = 0;
  /** The calls in order: `write`, `end`, `destroy`, `pause`, `resume`. */
  readonly log: string[] = [];
  readonly written: Uint8Array[] = [];
  stalled = false;
  events!: ByteStreamEvents;
  private flushes = 0;

  open(events: ByteStreamEvents): void {
    this.events = events;
  }

  write(parts: readonly Uint8Array[]): void {
    const bytes = join(...parts);
    this.log.push("write");
    this.written.push(bytes);
    if (this.stalled) this.buffered += bytes.length;
    else this.bytesFlushed += bytes.length;
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
  shouldFlushNow(): boolean {
    return this.flushesNow;
  }
  scheduleFlush(): void {
    this.flushes++;
  }

  /** How often a flush was scheduled since the last tick. */
  get scheduledFlushes(): number {
    return this.flushes;
  }

  /** Ends the event-loop tick: runs the scheduled flushes. */
  tick(): void {
    const asked = this.flushes;
    this.flushes = 0;
    for (let i = 0; i < asked; i++) this.events.onScheduledFlush();
  }

  /** Flushes all buffered bytes. */
  drain(): void {
    this.bytesFlushed += this.buffered;
    this.buffered = 0;
    this.events.onFlushed();
    this.events.onDrain();
  }

  get frames(): { first: number; payload: Uint8Array }[] {
    return serverFrames(join(...this.written));
  }

  /** The frames that were sent, in words. */
  get sent(): string[] {
    return inWords(this.frames);
  }
}

/** A session that records its events. The functions in `onEvent` may react to them. */
export class FakeSession implements TransportEvents {
  runInContext<Target, Args extends unknown[]>(
    task: (this: Target, ...args: Args) => void,
    target: Target,
    ...args: Args
  ): void {
    task.apply(target, args);
  }

  assumeContext = this.runInContext;

  readonly log: string[] = [];
  readonly onEvent: {
    message?: (message: DataMessage, size: number) => void;
    control?: (message: ControlMessage) => void;
    closing?: (code: number | undefined, text: string) => void;
    failed?: (error: ProtocolError) => void;
    drained?: () => void;
    flushing?: (waiting: number) => boolean;
  } = {};

  onActivity(): void {
    this.log.push("received");
  }
  onText(data: string, size: number): void {
    this.log.push(`text ${data}`.trim());
    this.onEvent.message?.({ opcode: "text", data }, size);
  }
  onBinary(data: Uint8Array<ArrayBuffer>): void {
    this.log.push(`binary ${utf8(data)}`.trim());
    this.onEvent.message?.({ opcode: "binary", data }, data.length);
  }
  onControl(message: ControlMessage): void {
    this.log.push(`${message.opcode} ${utf8(message.data)}`.trim());
    this.onEvent.control?.(message);
  }
  onClose(code: number | undefined, text: string): void {
    this.log.push(`closing ${code} ${text}`.trim());
    this.onEvent.closing?.(code, text);
  }
  onProtocolError(error: ProtocolError): void {
    this.log.push(`failed ${error.closeCode}`);
    this.onEvent.failed?.(error);
  }
  onDrain(): void {
    this.log.push("drained");
    this.onEvent.drained?.();
  }
  awaitsAnswers(waiting: number): boolean {
    return this.onEvent.flushing?.(waiting) ?? false;
  }
  onIdle(): void {
    this.log.push("idle");
  }
  onHostStop(): void {
    this.log.push("stopped");
  }
  onDisconnect(): void {
    this.log.push("disconnected");
  }

  /** The log without `received` and `drained`. */
  get events(): string[] {
    return this.log.filter((entry) => entry !== "received" && entry !== "drained");
  }
}

export const makeWire = (byteOps: ByteOps = portableByteOps, limits: Partial<ParserLimits> = {}) => {
  const stream = new FakeStream();
  const session = new FakeSession();
  const connection = new Connection(stream, byteOps, { ...NO_LIMITS, ...limits });
  stream.open(connection);
  connection.open(session);
  return {
    stream,
    session,
    connection,
    /** The peer sends these frames in one chunk. */
    receive: (...frames: readonly Frame[]): void => connection.onBytes(join(...frames.map(frame))),
    send: (data: string): void => connection.send("text", data, new TextEncoder().encode(data).length),
  };
};
