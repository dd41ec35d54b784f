/** The memory into which all sockets of this thread are read. */
import { Buffer } from "node:buffer";
import { applyMask } from "../../../protocol/mask.ts";
import type { ReceiveBuffer } from "../../../protocol/receive-buffer.ts";
import { MASK_MODULE } from "./mask-module.ts";

/** The size of the memory in `mask.wat`. */
const SIZE = 9 * 65_536;

/** Room for the beginning of a frame that arrived earlier: at most 130 bytes of an incomplete control frame. */
const START = 256;

/**
 * The maximum number of bytes that a read returns, unless a large frame is arriving. If the connection is paused while
 * they are being parsed, the rest is copied. A frame of 64 KiB and its header of 14 bytes should arrive in one read.
 */
const WINDOW = 65_536 + 64;

/** The exports of `mask.wat`. */
interface MaskModule {
  readonly memory: WebAssembly.Memory;
  applyMask(from: number, to: number, key: number): number;
}

/**
 * Instantiates `mask.wat`. `undefined` without WebAssembly (`--jitless`), without SIMD, or if the process may not
 * reserve the address space that V8 wants for the memory.
 */
export const instantiateMask = (): MaskModule | undefined => {
  try {
    const module = new WebAssembly.Module(Buffer.from(MASK_MODULE, "base64"));
    return new WebAssembly.Instance(module).exports as unknown as MaskModule;
  } catch {
    return undefined;
  }
};

/** The {@link ReceiveBuffer} of Node's sockets. */
export class SocketReceiveBuffer implements ReceiveBuffer {
  readonly bytes: Buffer;
  readonly view: DataView;
  readonly start = START;
  readonly applyMask: ReceiveBuffer["applyMask"];
  /** What a socket reads into, unless a large frame is arriving. */
  readonly window: Buffer;

  /** @param module if `undefined`, bytes are masked in JavaScript */
  constructor(module: MaskModule | undefined) {
    const memory = module?.memory.buffer ?? new ArrayBuffer(SIZE);
    const bytes = Buffer.from(memory);
    this.bytes = bytes;
    this.view = new DataView(memory);
    this.window = bytes.subarray(START, START + WINDOW);
    this.applyMask =
      module === undefined
        ? (from, to, key) => applyMask(bytes, from, to, key)
        : (from, to, key) => (module.applyMask(from, to, key) & 0x80808080) === 0;
  }

  /**
   * What a socket reads into next. More than the usual window only within a large frame, and only up to its end: bytes
   * of a frame that is arriving are kept anyway, and `maxMessageSize` limits them.
   *
   * @param expected the number of bytes of the current frame that have not arrived
   */
  windowFor(expected: number): Buffer {
    return expected < WINDOW ? this.window : this.bytes.subarray(START, Math.min(START + expected, SIZE));
  }
}
