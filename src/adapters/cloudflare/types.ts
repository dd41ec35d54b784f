/** The parts of Cloudflare's API that the adapter uses, declared here so that applications need no other types. */

export interface CloudflareSocket {
  readonly readyState: number;
  binaryType?: string;
  /** `allowHalfOpen`: the platform does not answer the peer's close frame. */
  accept(options?: { readonly allowHalfOpen?: boolean }): void;
  send(data: string | ArrayBuffer | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

/** 0 is the client's end, for the response; 1 is the server's end. */
export type CloudflareSocketPair = new () => { readonly 0: CloudflareSocket; readonly 1: CloudflareSocket };

/**
 * The `ctx` of a Durable Object (`DurableObjectState`). Its sockets are {@link CloudflareSocket}s, but typed as `never`
 * and `object`, because their type differs between versions of `@cloudflare/workers-types`.
 */
export interface DurableObjectContext {
  readonly id: { toString(): string };
  acceptWebSocket(socket: never, tags?: string[]): void;
  getWebSockets(tag?: string): object[];
  waitUntil(promise: Promise<unknown>): void;
}

/** `WebSocket.CLOSED`. */
export const CLOSED = 3;
