/** The receive buffers of Node's sockets, as the parser sees them. */
import { instantiateMask, SocketReceiveBuffer } from "../../src/adapters/node/receive-buffer/receive-buffer.ts";
import type { ReceiveBuffer } from "../../src/protocol/receive-buffer.ts";

/** Both ways in which they mask: `describe.each(receiveBuffers)`. */
export const receiveBuffers: readonly { readonly name: string; readonly buffer: SocketReceiveBuffer }[] = [
  { name: "WebAssembly", buffer: new SocketReceiveBuffer(instantiateMask()) },
  { name: "JavaScript", buffer: new SocketReceiveBuffer(undefined) },
];

/** What the memory contains when it is used for another connection. */
const FOREIGN = 0xee;

/** Reads `bytes` as a socket does. The memory is overwritten after each read, as by reads of other sockets. */
export const readInto = (
  { buffer }: { readonly buffer: SocketReceiveBuffer },
  bytes: Uint8Array,
  onRead: (buffer: ReceiveBuffer, size: number) => number,
): void => {
  let window = buffer.window;
  for (let at = 0; at < bytes.length; ) {
    const read = bytes.subarray(at, at + window.length);
    window.set(read);
    at += read.length;
    window = buffer.windowFor(onRead(buffer, read.length));
    buffer.bytes.fill(FOREIGN, 0, buffer.start + read.length);
  }
};
