/**
 * Reads from all sockets into the same memory, instead of into new memory for each chunk. This uses the mechanism behind
 * the option `onread` of `net.Socket`, which Node offers only for sockets that the application creates.
 */
import { Buffer } from "node:buffer";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ReceiveBuffer } from "../../../protocol/receive-buffer.ts";
import { instantiateMask, SocketReceiveBuffer } from "./receive-buffer.ts";

/**
 * Called as a method of the socket, when `size` bytes have been read into the buffer. Returns the number of bytes of the
 * current frame that have not arrived, or {@link STOP}.
 */
export type OnRead = (this: Duplex, buffer: ReceiveBuffer, size: number) => number;

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

/**
 * Returns a function that makes Node read a socket into the shared memory. It returns `false` if that is not possible:
 * nothing has changed then.
 */
export const readsIntoSharedMemory = (onRead: OnRead): ((socket: Duplex) => boolean) => {
  const properties = findProperties();
  if (properties === undefined) return () => false;
  let buffer: SocketReceiveBuffer | undefined; // created for the first socket
  let next: Buffer | undefined;

  function afterRead(this: Duplex, size: number, current: Buffer): boolean {
    const expected = onRead.call(this, buffer!, size);
    const wanted = buffer!.windowFor(expected);
    next = wanted === current ? undefined : wanted;
    return expected !== STOP;
  }

  const takeNext = (): Buffer | undefined => {
    const memory = next;
    next = undefined;
    return memory;
  };

  return (socket) => {
    const internals = socket as unknown as Internals;
    const { _handle: handle } = internals;
    // Sockets of other classes, and sockets that the application reads with `onread`.
    if (typeof handle?.useUserBuffer !== "function" || internals[properties.memory] !== null) return false;
    buffer ??= new SocketReceiveBuffer(instantiateMask());
    internals[properties.memory] = buffer.window;
    internals[properties.onRead] = afterRead;
    internals[properties.nextMemory] = takeNext;
    handle.useUserBuffer(buffer.window);
    return true;
  };
};

/** Copies what has been read, for code that keeps it. */
export const copyOfRead = ({ bytes, start }: ReceiveBuffer, size: number): Buffer =>
  Buffer.from(bytes.subarray(start, start + size));
