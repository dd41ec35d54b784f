/** The parts of Bun's API that the adapter uses, declared here so that applications need no `@types/bun`. */

export interface BunSocket<Data = unknown> {
  readonly data: Data;
  binaryType: string;
  /** Returns the number of bytes sent; -1 if the message was queued; 0 if it was dropped or empty. */
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
  /** 0 or `undefined` after the server was stopped, and on a Unix domain socket. */
  readonly port?: number | undefined;
  upgrade(request: Request, options: { readonly headers: Headers; readonly data: unknown }): boolean;
  requestIP(request: Request): { readonly address: string; readonly port: number } | null;
}

/** `fetch` of `Bun.serve`. */
export type BunFetch = (request: never, server: never) => unknown;

/** The options of `Bun.serve` that the adapter reads. */
export interface BunServeOptions {
  /** Method syntax, for contextual typing of `request` and for compatibility with any type of `@types/bun`. */
  fetch?(request: Request, server: never): unknown;
  /** Maps each path to a handler, to handlers by method, or to a static response. */
  readonly routes?: object | undefined;
  readonly websocket?: undefined;
}

/**
 * The option `websocket` of `Bun.serve`. Sockets are typed as `object`, because `ServerWebSocket` differs between
 * versions of `@types/bun` (`binaryType` is optional in 1.4; `pause` and `resume` are missing in 1.3).
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
