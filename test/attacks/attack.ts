/** One row of the table: what a peer does, and what it may cost. */

import type { ServerOptions } from "node:http";
import type { ServerOptions as Http2ServerOptions } from "node:http2";
import type { Duplex } from "node:stream";
import type { Headers, RawClient } from "../support/raw-client.ts";
import type { Field } from "./field.ts";

/** Over what the clients come: the columns of the table. */
export const COLUMNS = ["HTTP/1.1", "HTTP/2", "HTTP/2, TLS"] as const;

export type Column = (typeof COLUMNS)[number];

/** How a client gets a WebSocket, so that the same attacks can come over any wire. */
export interface AttackTransport {
  readonly name: "HTTP/1.1" | "HTTP/2";
  readonly column: Column;
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
  /** The way in for the clients of one attack. */
  enter(port: number): Entrance;
}

export interface Entrance {
  /** Sends an opening handshake, and `behind` together with it; lets no octet of the server's be lost. */
  knock(target: string, headers?: Headers, behind?: Uint8Array): Promise<Knocked>;
  /** Drops all clients, with their connections. */
  leave(): void;
}

export interface Knocked {
  readonly client: RawClient<Duplex>;
  /** What comes of it: a WebSocket, the status of a refusal, or the end of a stream of HTTP/2 without an answer. */
  answer(): Promise<"open" | "reset" | number>;
}

/** All growth is above what the server had before the attack, and after it was used by ordinary clients. */
export interface Costs {
  /** Resident memory at its highest, garbage and buffers of the runtime included. */
  readonly peakMiB: number;
  /** CPU time of the whole process, the kernel's share for its sockets included. */
  readonly cpuMs: number;
  /** The longest that the event loop did not turn. */
  readonly delayMs: number;
  /** What is still alive when all is over. */
  readonly leftMiB: number;
  /** What is alive at the height of the attack, memory that is reserved and was never touched included. */
  readonly heldMiB?: number;
  /** How many times the CPU time it takes to read what is eight times as long. */
  readonly growth?: number;
}

export type Bounds = Partial<Costs> & Pick<Costs, "peakMiB" | "cpuMs">;

/** Hold for every attack that does not say otherwise. */
export const ALWAYS = { delayMs: 1000, leftMiB: 3 } as const;

export interface Attack {
  readonly name: string;
  /** What the server does about it, for the table. */
  readonly answer: string;
  readonly bounds: Bounds;
  /**
   * How often what happened to the sessions: `init`, and the reasons that `terminate` was given; where it is certain.
   */
  readonly happens?: Readonly<Record<string, number>>;
  /** Which requests reached the app, where that is the question. */
  readonly requests?: Readonly<Record<string, number>>;
  /** What `onError` is told; the same one several times is told once here. Default: nothing. */
  readonly told?: readonly string[];
  /** It is about how requests are written there, and makes no sense elsewhere. */
  readonly onlyOver?: AttackTransport["name"];
  /** Nobody is served afterwards: that was the point. */
  readonly endsServer?: true;
  /** Options of the server, by the version of HTTP that it speaks. */
  readonly http?: ServerOptions;
  readonly http2?: Http2ServerOptions & { readonly timeout?: number };
  /** Ends when the clients have done what they came for. They are dropped after it, where they are still there. */
  readonly run: (field: Field) => Promise<void>;
}
