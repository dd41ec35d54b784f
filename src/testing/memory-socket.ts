/** Both ends of a connection without a network, for Node's own HTTP server and client. */
import { Duplex } from "node:stream";
import { FACTS } from "./connect.ts";

/** One end: what is written to it is read from the other one. (`stream.duplexPair` is not in every Node 20.) */
export class MemorySocket extends Duplex {
  /** For apps that ask where a request comes from, and whether it is secure (Express's `req.ip` and `req.secure`). */
  readonly remoteAddress = FACTS.remoteAddress;
  readonly remotePort = FACTS.remotePort;
  readonly remoteFamily = "IPv4";
  readonly encrypted: boolean;
  private peer!: MemorySocket;
  private taken: () => void = () => undefined;

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
    const { taken } = this;
    this.taken = () => undefined;
    taken();
  }

  override _write(chunk: Uint8Array, _encoding: string, callback: () => void): void {
    this.peer.taken = callback;
    this.peer.push(chunk);
  }

  override _final(callback: () => void): void {
    this.peer.push(null);
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    // As a socket whose other end has disconnected; an error concerns this end alone.
    if (!this.peer.destroyed) this.peer.destroy();
    callback(error);
  }

  /** What middleware and HTTP call on every socket; there is nothing to time, and no delay. */
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
