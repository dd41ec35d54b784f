/** Runs octets through a parser and writes down what comes out. */

import { Buffer } from "node:buffer";
import { nodeByteOps } from "../../src/adapters/shared/node-byte-ops.ts";
import { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage } from "../../src/message.ts";
import { type ByteOps, portableByteOps } from "../../src/protocol/byte-ops.ts";
import type { CloseFrame } from "../../src/protocol/close.ts";
import { type FrameEvents, FrameParser, type ParserLimits } from "../../src/protocol/frame-parser.ts";

/** Every host's means must give the same: `describe.each(allOctets)`. */
export const allOctets: readonly { readonly name: string; readonly byteOps: ByteOps }[] = [
  { name: "portable octets", byteOps: portableByteOps },
  { name: "Node's octets", byteOps: nodeByteOps },
];

export const NO_LIMITS: ParserLimits = {
  maxFrameSize: Number.POSITIVE_INFINITY,
  maxMessageSize: Number.POSITIVE_INFINITY,
  maxFragments: Number.POSITIVE_INFINITY,
  validateUtf8: true,
};

export type Seen =
  | readonly ["message", DataMessage, size: number]
  | readonly ["compressed", opcode: number, Uint8Array]
  | readonly ["control", ControlMessage]
  | readonly ["close", CloseFrame]
  | readonly ["error", code: number];

export class Recorder implements FrameEvents {
  readonly seen: Seen[] = [];
  /** Called for every event, from within it. */
  onEvent: () => void = () => {};

  onText(data: string, size: number): void {
    this.seen.push(["message", { opcode: "text", data }, size]);
    this.onEvent();
  }
  onBinary(data: Uint8Array<ArrayBuffer>): void {
    this.seen.push(["message", { opcode: "binary", data }, data.length]);
    this.onEvent();
  }
  onCompressed(opcode: number, payload: Uint8Array): void {
    this.seen.push(["compressed", opcode, payload.slice()]);
    this.onEvent();
  }
  onControl(message: ControlMessage): void {
    this.seen.push(["control", message]);
    this.onEvent();
  }
  onClose(close: CloseFrame): void {
    this.seen.push(["close", close]);
    this.onEvent();
  }
}

export interface Run {
  readonly limits?: Partial<ParserLimits>;
  readonly byteOps?: ByteOps;
}

export const makeParser = ({ limits, byteOps = portableByteOps }: Run = {}) => {
  const recorder = new Recorder();
  return { parser: new FrameParser({ ...NO_LIMITS, ...limits }, byteOps, recorder), recorder, seen: recorder.seen };
};

/** What comes of these chunks. A ProtocolError is the last thing seen; any other error escapes. */
export const parseAll = (chunks: readonly Uint8Array[], run: Run = {}): readonly Seen[] => {
  const { parser, seen } = makeParser(run);
  try {
    for (const chunk of chunks) {
      // The parser owns what it is fed, and the tests want to feed it again.
      parser.feed(chunk.slice());
      parser.parse();
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.push(["error", error.code]);
  }
  return seen;
};

/** How many octets it takes until the parser refuses, fed one by one; `undefined` if it never does. */
export const refusedAfter = (bytes: Uint8Array, run: Run = {}): { octets: number; code: number } | undefined => {
  const { parser } = makeParser(run);
  for (let i = 0; i < bytes.length; i++) {
    try {
      parser.feed(bytes.slice(i, i + 1));
      parser.parse();
    } catch (error) {
      if (error instanceof ProtocolError) return { octets: i + 1, code: error.code };
      throw error;
    }
  }
  return undefined;
};

/** The same with octets written as text: comparing long ones is quick then. */
export const asText = (seen: readonly Seen[]): unknown[] =>
  JSON.parse(
    JSON.stringify(seen, (_, value) => (value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value)),
  );

export const textSeen = (data: string): Seen => [
  "message",
  { opcode: "text", data },
  new TextEncoder().encode(data).length,
];

export const binarySeen = (data: Uint8Array): Seen => [
  "message",
  { opcode: "binary", data: new Uint8Array(data) },
  data.length,
];

export const controlSeen = (opcode: "ping" | "pong", data: Uint8Array | string = ""): Seen => [
  "control",
  { opcode, data: new Uint8Array(typeof data === "string" ? new TextEncoder().encode(data) : data) },
];
