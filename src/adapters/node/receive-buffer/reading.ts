/**
 * Reads from all sockets into the same memory, instead of into new memory for each chunk. This uses the mechanism behind
 * the option `onread` of `net.Socket`, which Node offers only for sockets that the application creates.
 */
import type { Buffer } from "node:buffer";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ReceiveBuffer } from "../../../protocol/receive-buffer.ts";
import { instantiateMask, SocketReceiveBuffer } from "./receive-buffer.ts";

/** What uses the receive buffer. */
export interface Reader {
  /**
   * `size` bytes are in the receive buffer. Returns the number of bytes of the current frame that have not arrived, or
   * {@link STOP}.
   */
  onRead(socket: Duplex, buffer: ReceiveBuffer, size: number): number;
  /** The bytes that {@link onRead} is working on have been overwritten. */
  onOverwritten(socket: Duplex): void;
}

/** Nothing is read from the socket until it is resumed. */
export const STOP = -1;

/** The symbols of the properties that Node sets for `onread`. */
interface Properties {
  /** The memory for the next read. */
  readonly memory: symbol;
  /** Called after each read, as a method of the socket. If it returns `false`, reading stops. */
  readonly onRead: symbol;
  /** Called after `onRead`. Returns the memory for the following reads; `undefined`: the same. */
  readonly nextMemory: symbol;
}

type Internals = Record<symbol, unknown> & {
  readonly _handle?: { useUserBuffer?(memory: Uint8Array): void } | null;
};

/** `undefined` if this version of Node has no such properties. */
const findProperties = (): Properties | undefined => {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  const named = (name: string): symbol | undefined => symbols.find(({ description }) => description === name);
  const [memory, onRead, nextMemory] = [named("kBuffer"), named("kBufferCb"), named("kBufferGen")];
  return memory && onRead && nextMemory && { memory, onRead, nextMemory };
};

/** The receive buffer of this thread, and the sockets that are read into it. */
export class SharedReading {
  private readonly buffer = new SocketReceiveBuffer(instantiateMask());
  private readonly properties = findProperties();
  private readonly reader: Reader;
  /** The socket whose bytes are in the buffer, while they are being parsed. */
  private current: Duplex | undefined = undefined;
  private nextMemory: Buffer | undefined = undefined;
  private readonly afterRead: (this: Duplex, size: number, memory: Buffer) => boolean;
  private readonly takeNextMemory: () => Buffer | undefined;

  constructor(reader: Reader) {
    this.reader = reader;
    const reading = this;
    this.afterRead = function (size, memory): boolean {
      const expected = reading.parse(this, size);
      const wanted = reading.buffer.windowFor(expected);
      reading.nextMemory = wanted === memory ? undefined : wanted;
      return expected !== STOP;
    };
    this.takeNextMemory = () => {
      const memory = this.nextMemory;
      this.nextMemory = undefined;
      return memory;
    };
  }

  /** Makes Node read a socket into the buffer. `false`: that is not possible, and nothing has changed. */
  adopt(socket: Duplex): boolean {
    const { properties } = this;
    const internals = socket as unknown as Internals;
    const { _handle: handle } = internals;
    // Sockets of other classes, and sockets that the application reads with `onread`.
    if (properties === undefined || typeof handle?.useUserBuffer !== "function") return false;
    if (internals[properties.memory] !== null) return false;
    const { window } = this.buffer;
    internals[properties.memory] = window;
    internals[properties.onRead] = this.afterRead;
    internals[properties.nextMemory] = this.takeNextMemory;
    handle.useUserBuffer(window);
    return true;
  }

  /**
   * Copies a chunk into the buffer and passes it on, for sockets that Node cannot read into it. `false`: it is too large,
   * or another chunk is being parsed.
   */
  pass(socket: Duplex, chunk: Uint8Array): boolean {
    const { window } = this.buffer;
    if (this.current !== undefined || chunk.length > window.length) return false;
    window.set(chunk);
    this.parse(socket, chunk.length);
    return true;
  }

  private parse(socket: Duplex, size: number): number {
    const { current, reader } = this;
    // Some native modules (such as `deasync`) run the event loop inside a callback.
    if (current !== undefined) reader.onOverwritten(current);
    this.current = socket;
    try {
      return reader.onRead(socket, this.buffer, size);
    } finally {
      this.current = current;
    }
  }
}
