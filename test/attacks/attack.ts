/** One row of the table: what a peer does, and what it may cost. */

import type { ServerOptions } from "node:http";
import type { ServerOptions as Http2ServerOptions } from "node:http2";
import type { Duplex } from "node:stream";
import type { Headers, RawClient } from "../support/raw-client.ts";
import type { Field } from "./field.ts";

/** The ways in which clients connect: the columns of the table. */
export const COLUMNS = ["HTTP/1.1", "HTTP/2", "HTTP/2, TLS"] as const;

export type Column = (typeof COLUMNS)[number];

/** How a client opens a WebSocket, so that the same attacks can run over each version of HTTP. */
export interface AttackTransport {
  readonly name: "HTTP/1.1" | "HTTP/2";
  readonly column: Column;
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
  /** Opens the connections of one attack's clients. */
  enter(port: number): Entrance;
}

export interface Entrance {
  /** Sends an opening handshake, and the bytes `behind` together with it. The client keeps all bytes of the server. */
  knock(target: string, headers?: Headers, behind?: Uint8Array): Promise<Knocked>;
  /** Destroys the connections of all clients. */
  leave(): void;
}

export interface Knocked {
  readonly client: RawClient<Duplex>;
  /** `"open"` for a WebSocket, the status of a refusal, or `"reset"` if an HTTP/2 stream ends without a response. */
  answer(): Promise<"open" | "reset" | number>;
}

/** Memory is the growth since the beginning of the attack. Before that, ordinary clients have used the server. */
export interface Costs {
  /** The peak of the resident memory, including garbage and the runtime's buffers. */
  readonly peakMiB: number;
  /** The CPU time of the whole process, including the kernel's share for its sockets. */
  readonly cpuMs: number;
  /** The longest delay of the event loop. */
  readonly delayMs: number;
  /** The memory in use after all connections have closed, without garbage. */
  readonly leftMiB: number;
  /** The memory in use at the height of the attack, without garbage, but including buffers that are not filled. */
  readonly heldMiB?: number;
  /** The ratio of the CPU times for an input that is eight times as long and for the shorter one. */
  readonly growth?: number;
}

export type Bounds = Partial<Costs> & Pick<Costs, "peakMiB" | "cpuMs">;

/** The bounds of every attack that does not state others. */
export const ALWAYS = { delayMs: 1000, leftMiB: 3 } as const;

export interface Attack {
  readonly name: string;
  /** What the server does about it, for the table. */
  readonly answer: string;
  readonly bounds: Bounds;
  /** The numbers of the sessions' events, such as `init` and the reasons of `terminate`. Absent if they vary. */
  readonly happens?: Readonly<Record<string, number>>;
  /** The numbers of the requests that reach the app, by method and path. Absent if they do not matter. */
  readonly requests?: Readonly<Record<string, number>>;
  /** The errors that `onError` receives, each of them once. Default: none. */
  readonly told?: readonly string[];
  /** The only version of HTTP to which the attack applies. Default: all. */
  readonly onlyOver?: AttackTransport["name"];
  /** The attack shuts the server down: it serves no client afterwards. */
  readonly endsServer?: true;
  /** Options of the server, by the version of HTTP that it speaks. */
  readonly http?: ServerOptions;
  readonly http2?: Http2ServerOptions & { readonly timeout?: number };
  /** Performs the attack. Clients that are still connected afterwards are disconnected. */
  readonly run: (field: Field) => Promise<void>;
}
