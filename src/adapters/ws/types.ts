/** The parts of the package `ws` that the adapter uses. The package itself is never imported. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";

/** A `WebSocket` of `ws` on the server. */
export interface WsSocket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  readonly extensions: string;
  binaryType: string;
  on(event: string, listener: (...args: never[]) => void): unknown;
  send(
    data: string | Uint8Array,
    options: { readonly binary: boolean; readonly compress: boolean; readonly fin: boolean },
    callback?: (error?: Error) => void,
  ): void;
  ping(data: string | Uint8Array): void;
  pong(data: string | Uint8Array): void;
  close(code?: number, text?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
}

/** A `WebSocketServer` of `ws`. */
export interface WsServer {
  readonly options: {
    readonly server?: object | null | undefined;
    readonly path?: string | null | undefined;
    readonly perMessageDeflate?: object | boolean | undefined;
  };
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    callback: (socket: WsSocket, request: IncomingMessage) => void,
  ): void;
  close(callback?: (error?: Error) => void): void;
  shouldHandle(request: IncomingMessage): boolean | Promise<boolean>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

export type HttpServer = Server;

/** `WebSocket.OPEN`. */
export const OPEN = 1;
