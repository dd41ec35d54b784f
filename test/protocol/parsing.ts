/** Runs bytes through a parser and records its events. */

import { Buffer } from "node:buffer";
import { nodeByteOps } from "../../src/adapters/shared/node-byte-ops.ts";
import { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage } from "../../src/message.ts";
import { type ByteOps, portableByteOps } from "../../src/protocol/byte-ops.ts";
import type { CloseFrame } from "../../src/protocol/close.ts";
import { type FrameEvents, FrameParser, type ParserLimits } from "../../src/protocol/frame-parser.ts";

/** All implementations of ByteOps, which must give the same results: `describe.each(allByteOps)`. */
export const allByteOps: readonly { readonly name: string; readonly byteOps: ByteOps }[] = [
  { name: "portable ByteOps", byteOps: portableByteOps },
  { name: "Node's ByteOps", byteOps: nodeByteOps },
];

export const NO_LIMITS: ParserLimits = {
  maxFrameSize: Number.POSITIVE_INFINITY,
  maxMessageSize: Number.POSITIVE_INFINITY,
  maxFragments: Number.POSITIVE_INFINITY,
  validateUtf8: true,
};

export type ParserEvent =
  | readonly ["message", DataMessage, size: number]
  | readonly ["compressed", opcode: number, Uint8Array]
  | readonly ["control", ControlMessage]
  | readonly ["close", CloseFrame]
  | readonly ["error", code: number];

export class Recorder implements FrameEvents {
  readonly events: ParserEvent[] = [];
  /** Called within every event. */
  onEvent: () => void = () => {};

  onText(data: string, size: number): void {
    this.events.push(["message", { opcode: "text", data }, size]);
    this.onEvent();
  }
  onBinary(data: Uint8Array<ArrayBuffer>): void {
    this.events.push(["message", { opcode: "binary", data }, data.length]);
    this.onEvent();
  }
  onCompressed(opcode: number, payload: Uint8Array): void {
    this.events.push(["compressed", opcode, new Uint8Array(payload)]);
    this.onEvent();
  }
  onControl(message: ControlMessage): void {
    this.events.push(["control", message]);
    this.onEvent();
  }
  onClose(close: CloseFrame): void {
    this.events.push(["close", close]);
    this.onEvent();
  }
}

export interface Run {
  readonly limits?: Partial<ParserLimits>;
  readonly byteOps?: ByteOps;
}

export const makeParser = ({ limits, byteOps = portableByteOps }: Run = {}) => {
  const recorder = new Recorder();
  return { parser: new FrameParser({ ...NO_LIMITS, ...limits }, byteOps, recorder), recorder, events: recorder.events };
};

/** The events that these chunks lead to. A ProtocolError is the last event; other errors are thrown. */
export const parseAll = (chunks: readonly Uint8Array[], run: Run = {}): readonly ParserEvent[] => {
  const { parser, events } = makeParser(run);
  try {
    for (const chunk of chunks) {
      // A copy, because the parser owns its chunks and the tests use them again.
      parser.feed(chunk.slice());
      parser.parse();
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    events.push(["error", error.closeCode]);
  }
  return events;
};

/** After how many bytes, fed one by one, the parser throws, and the close code; `undefined` if it doesn't. */
export const rejectedAfter = (bytes: Uint8Array, run: Run = {}): { bytes: number; code: number } | undefined => {
  const { parser } = makeParser(run);
  for (let i = 0; i < bytes.length; i++) {
    try {
      parser.feed(bytes.slice(i, i + 1));
      parser.parse();
    } catch (error) {
      if (error instanceof ProtocolError) return { bytes: i + 1, code: error.closeCode };
      throw error;
    }
  }
  return undefined;
};

/** The events with bytes as hexadecimal text, which compares fast. */
export const asText = (events: readonly ParserEvent[]): unknown[] =>
  JSON.parse(
    JSON.stringify(events, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value)),
  );

export const textEvent = (data: string): ParserEvent => [
  "message",
  { opcode: "text", data },
  new TextEncoder().encode(data).length,
];

export const binaryEvent = (data: Uint8Array): ParserEvent => [
  "message",
  { opcode: "binary", data: new Uint8Array(data) },
  data.length,
];

export const controlEvent = (opcode: "ping" | "pong", data: Uint8Array | string = ""): ParserEvent => [
  "control",
  { opcode, data: new Uint8Array(typeof data === "string" ? new TextEncoder().encode(data) : data) },
];
