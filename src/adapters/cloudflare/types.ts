/** What of Cloudflare's API we use, by its shape: nobody needs its types for ours. */

export interface CloudflareSocket {
  readonly readyState: number;
  binaryType?: string;
  /** `allowHalfOpen`: the peer's close frame is ours to answer. */
  accept(options?: { readonly allowHalfOpen?: boolean }): void;
  send(data: string | ArrayBuffer | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: never) => void): void;
  serializeAttachment(attachment: unknown): void;
  deserializeAttachment(): unknown;
}

/** The client's end goes into the response, the server's is ours. */
export type CloudflareSocketPair = new () => { readonly 0: CloudflareSocket; readonly 1: CloudflareSocket };

/**
 * `ctx` of a Durable Object (`DurableObjectState`). Its sockets are {@link CloudflareSocket}s; it does not say so, because
 * the versions of `@cloudflare/workers-types` differ in them.
 */
export interface DurableObjectContext {
  acceptWebSocket(socket: never, tags?: string[]): void;
  getWebSockets(tag?: string): object[];
  waitUntil(promise: Promise<unknown>): void;
}

/** `WebSocket.CLOSED`. */
export const CLOSED = 3;
