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
  /** A method, so that `request` has a type where the app gives it none, and any type of Bun's is accepted. */
  fetch?(request: Request, server: never): unknown;
  /** A path to a handler, to handlers by method, or to something else that is served as it is. */
  readonly routes?: object | undefined;
  readonly websocket?: undefined;
}

/**
 * `websocket` of `Bun.serve`. It says nothing about the sockets: `ServerWebSocket` differs between the versions of
 * `@types/bun` (`binaryType` is optional in 1.4; `pause` and `resume` are missing in 1.3).
 */
export interface BunWebSocketHandlers {
  readonly perMessageDeflate: boolean;
  readonly idleTimeout: number;
  readonly sendPings: boolean;
  readonly maxPayloadLength: number;
  readonly backpressureLimit: number;
  readonly closeOnBackpressureLimit: boolean;
  open(socket: object): void;
  message(socket: object, message: string | Uint8Array): void;
  ping(socket: object, data: Uint8Array): void;
  pong(socket: object, data: Uint8Array): void;
  drain(socket: object): void;
  close(socket: object, code: number, reason: string): void;
}
