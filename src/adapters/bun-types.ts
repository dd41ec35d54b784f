/** What of Bun's API we use, by its shape: nobody needs its types for ours. */

export interface BunSocket<Data = unknown> {
  readonly data: Data;
  binaryType: string;
  /** How many octets were sent; -1: queued; 0: dropped, or there were none. */
  sendText(data: string, compress?: boolean): number;
  sendBinary(data: Uint8Array, compress?: boolean): number;
  ping(data?: string | Uint8Array): number;
  pong(data?: string | Uint8Array): number;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  getBufferedAmount(): number;
}

export interface BunServer {
  /** 0 or `undefined` once the server has been stopped, and on a Unix domain socket. */
  readonly port?: number | undefined;
  upgrade(request: Request, options: { readonly headers: Headers; readonly data: unknown }): boolean;
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
}

/** `fetch` of `Bun.serve`. */
export type BunFetch = (request: never, server: never) => unknown;

/** The options of `Bun.serve` that we look at. */
export interface BunServeOptions {
  readonly fetch?: BunFetch | undefined;
  /** A path to a handler, to handlers by method, or to something else that is served as it is. */
  readonly routes?: object | undefined;
  readonly websocket?: undefined;
}

/** `websocket` of `Bun.serve`. */
export interface BunWebSocketHandlers<Data> {
  readonly perMessageDeflate: boolean;
  readonly idleTimeout: number;
  readonly sendPings: boolean;
  readonly maxPayloadLength: number;
  readonly backpressureLimit: number;
  readonly closeOnBackpressureLimit: boolean;
  open(socket: BunSocket<Data>): void;
  message(socket: BunSocket<Data>, message: string | Uint8Array<ArrayBuffer>): void;
  ping(socket: BunSocket<Data>, data: Uint8Array<ArrayBuffer>): void;
  pong(socket: BunSocket<Data>, data: Uint8Array<ArrayBuffer>): void;
  drain(socket: BunSocket<Data>): void;
  close(socket: BunSocket<Data>, code: number, reason: string): void;
}
