/** A pair of connected sockets in memory, for Node's HTTP server and client. */
import { Duplex } from "node:stream";
import { FACTS } from "./connect.ts";

/**
 * One of two connected sockets: data written to one is read from the other. (Some Node 20 versions lack
 * `stream.duplexPair`.)
 */
export class MemorySocket extends Duplex {
  // Read by apps: Express computes `req.ip` and `req.secure` from these properties.
  readonly remoteAddress = FACTS.remoteAddress;
  readonly remotePort = FACTS.remotePort;
  readonly remoteFamily = "IPv4";
  readonly encrypted: boolean;
  private peer!: MemorySocket;
  /** Completes the write of the peer whose chunk is being read. */
  private onRead: () => void = () => undefined;

  private constructor(encrypted: boolean) {
    super();
    this.encrypted = encrypted;
  }

  static pair(encrypted: boolean): readonly [server: MemorySocket, client: MemorySocket] {
    const [server, client] = [new MemorySocket(encrypted), new MemorySocket(encrypted)];
    server.peer = client;
    client.peer = server;
    return [server, client];
  }

  override _read(): void {
    const { onRead } = this;
    this.onRead = () => undefined;
    onRead();
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: () => void): void {
    this.peer.onRead = callback;
    this.peer.push(chunk);
  }

  override _final(callback: () => void): void {
    this.peer.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // Like a TCP socket whose peer has disconnected. The error belongs to this end only.
    if (!this.peer.destroyed) this.peer.destroy();
    callback(error);
  }

  // Methods of `net.Socket` that Node's HTTP implementation and middleware call.
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
