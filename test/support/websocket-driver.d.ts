/** Declares the part of `websocket-driver` that our tests use: the package has no types of its own. */
declare module "websocket-driver" {
  import type { EventEmitter } from "node:events";
  import type { Duplex } from "node:stream";

  interface Driver extends EventEmitter {
    readonly io: Duplex;
    readonly protocol: string;
    start(): boolean;
    text(message: string): boolean;
    binary(message: Uint8Array): boolean;
    ping(message: string, onPong: () => void): boolean;
    close(reason: string, code: number): boolean;
  }

  const driver: { client(url: string, options: { protocols: readonly string[] }): Driver };
  export default driver;
}
