/** Parses the server's frames, and checks them against RFC 6455 §5 in every case. */
import { isUtf8 } from "node:buffer";
import { BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT } from "./frames.ts";
import { Failure } from "./outcome.ts";

/** What the client received: a message, a control frame, or the end of the stream. */
export type Got =
  | { readonly kind: "text" | "binary"; readonly payload: Buffer; readonly compressed: boolean }
  | { readonly kind: "ping" | "pong"; readonly payload: Buffer }
  | { readonly kind: "close"; readonly code: number | undefined; readonly reason: string }
  | { readonly kind: "end" }
  | { readonly kind: "reset"; readonly why: string };

interface Head {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly size: number;
  readonly length: number;
}

const demand: (condition: boolean, otherwise: string) => asserts condition = (condition, otherwise) => {
  if (!condition) throw new Failure(`the server sent ${otherwise}`);
};

/** RFC 6455 §7.4, and the codes that were registered later. */
const isSendableCode = (code: number): boolean =>
  (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) || (code >= 3000 && code <= 4999);

export class ServerFrames {
  private readonly onGot: (got: Got) => void;
  private readonly compressionAgreed: boolean;
  private chunks: Buffer[] = [];
  private available = 0;
  private head: Head | undefined;
  private message: { opcode: number; compressed: boolean; parts: Buffer[] } | undefined;
  private closed = false;

  constructor(compressionAgreed: boolean, onGot: (got: Got) => void) {
    this.compressionAgreed = compressionAgreed;
    this.onGot = onGot;
  }

  /** @throws Failure if the server violates the protocol */
  push(chunk: Buffer): void {
    demand(!this.closed || chunk.length === 0, "something after its close frame (§5.5.1)");
    this.chunks.push(chunk);
    this.available += chunk.length;
    for (;;) {
      this.head ??= this.readHead();
      if (this.head === undefined || this.available < this.head.size + this.head.length) return;
      const { head } = this;
      this.take(head.size);
      this.head = undefined;
      this.frame(head, this.take(head.length));
    }
  }

  private peek(size: number): Buffer | undefined {
    if (this.available < size) return undefined;
    if (this.chunks[0]!.length < size) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0];
  }

  private take(size: number): Buffer {
    if (size === 0) return Buffer.alloc(0);
    const all = this.peek(size)!;
    this.available -= size;
    if (all.length === size) this.chunks.shift();
    else this.chunks[0] = all.subarray(size);
    return all.subarray(0, size);
  }

  private readHead(): Head | undefined {
    const start = this.peek(2);
    if (start === undefined) return undefined;
    const [first, second] = [start[0]!, start[1]!];
    const short = second & 0x7f;
    demand((second & 0x80) === 0, "a masked frame (§5.1)");
    const size = short < 126 ? 2 : short === 126 ? 4 : 10;
    const bytes = this.peek(size);
    if (bytes === undefined) return undefined;
    const length = size === 2 ? short : size === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    demand(size === (length < 126 ? 2 : length < 65_536 ? 4 : 10), "a length that is not in its shortest form (§5.2)");
    return { fin: first >= 0x80, rsv: (first >> 4) & 7, opcode: first & 15, size, length };
  }

  private frame({ fin, rsv, opcode }: Head, payload: Buffer): void {
    demand(!this.closed, "a frame after its close frame (§5.5.1)");
    if (opcode >= CLOSE) {
      demand(opcode <= PONG, `the reserved opcode ${opcode}`);
      demand(
        fin && payload.length < 126 && rsv === 0,
        "a control frame that is fragmented, too long, or has reserved bits",
      );
      if (opcode === CLOSE) this.close(payload);
      else this.onGot({ kind: opcode === PING ? "ping" : "pong", payload });
      return;
    }
    demand(opcode <= BINARY, `the reserved opcode ${opcode}`);
    if (opcode === CONTINUATION) {
      demand(this.message !== undefined, "a continuation frame outside of a message (§5.4)");
      demand(rsv === 0, "a continuation frame with reserved bits");
    } else {
      demand(this.message === undefined, "a new message within a fragmented message (§5.4)");
      demand(rsv === 0 || (rsv === 4 && this.compressionAgreed), "reserved bits that were not negotiated (§5.2)");
      this.message = { opcode, compressed: rsv === 4, parts: [] };
    }
    this.message.parts.push(payload);
    if (!fin) return;
    const { opcode: kind, compressed, parts } = this.message;
    this.message = undefined;
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    demand(kind !== TEXT || compressed || isUtf8(whole), "a text that is not UTF-8 (§5.6)");
    this.onGot({ kind: kind === TEXT ? "text" : "binary", payload: whole, compressed });
  }

  private close(payload: Buffer): void {
    this.closed = true;
    demand(payload.length !== 1, "a close frame with a payload of one byte (§5.5.1)");
    if (payload.length === 0) {
      this.onGot({ kind: "close", code: undefined, reason: "" });
      return;
    }
    const code = payload.readUInt16BE();
    demand(isSendableCode(code), `the close code ${code} (§7.4)`);
    demand(isUtf8(payload.subarray(2)), "a close reason text that is not UTF-8 (§5.5.1)");
    this.onGot({ kind: "close", code, reason: payload.toString("utf8", 2) });
  }
}
