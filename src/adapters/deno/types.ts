/** The parts of Deno's API that the adapter uses, declared here so that applications need no other types. */

export interface DenoSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: (() => void) | null;
  onmessage: ((event: { readonly data: string | ArrayBuffer }) => void) | null;
  onerror: ((event: { readonly message?: string }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(data: string | Uint8Array): void;
  close(code?: number, reason?: string): void;
}

/** The second argument of a handler of `Deno.serve`. */
export interface DenoServeInfo {
  readonly remoteAddr?: { readonly hostname?: string; readonly port?: number };
}

export type DenoUpgradeWebSocket = (
  request: Request,
  options: { readonly idleTimeout: number },
) => { readonly socket: DenoSocket; readonly response: Response };

/** What `Deno.serve` returns. */
export interface DenoServer {
  shutdown(): Promise<void>;
}

export type DenoServe = (...args: unknown[]) => DenoServer;
