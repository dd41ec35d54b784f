/** The messages of the library's diagnostics channels. */
import type { UpgradeError } from "./errors.ts";
import type { CallbackName } from "./session/handler.ts";
import type { ConnectionCounts } from "./session/observed/counts.ts";
import type { CloseReason, ConnectionInfo } from "./websock.ts";

/** What all messages about a connection contain. */
export interface ConnectionEvent {
  /** The id of the connection: its `self.id`. */
  readonly id: string;
  /** Facts about the connection: its `self.connection`. */
  readonly connection: ConnectionInfo;
  /** The handler's name, if it has one. */
  readonly handler: string | undefined;
  /** The path of the upgrade request, without its query. */
  readonly path: string;
}

/** The message of the channel `websock-js:upgrade`. */
export interface UpgradeEvent extends ConnectionEvent {
  /** The HTTP version of the upgrade request: `"1.1"` or `"2.0"`. */
  readonly httpVersion: string;
  /** The selected subprotocol; `undefined` if there is none. */
  readonly subprotocol: string | undefined;
  /** The negotiated compression; `undefined` if there is none. */
  readonly compression: string | undefined;
  /** The counts of the connection, which change while it is open. */
  readonly counts: ConnectionCounts;
}

/** The message of the channel `websock-js:open`. */
export interface OpenEvent extends ConnectionEvent {
  /** How long `init` took, in milliseconds; `undefined` if the connection continues after hibernation. */
  readonly duration: number | undefined;
  /** Whether the connection continues after hibernation. */
  readonly resumed: boolean;
  /** The counts of the connection, which change while it is open. After hibernation, they begin anew. */
  readonly counts: ConnectionCounts;
}

/** The message of the channel `websock-js:close`. */
export interface CloseEvent extends ConnectionEvent {
  /** Why the connection ended: what `terminate` receives. */
  readonly reason: CloseReason;
  /** The close code that was sent; `undefined`: no close frame was sent, or one without a code. */
  readonly codeSent: number | undefined;
  /** The close code that the client sent; `undefined`: it sent no close frame, or one without a code. */
  readonly codeReceived: number | undefined;
  /** How long the connection was open, in milliseconds. */
  readonly duration: number;
  /** The final counts of the connection. */
  readonly counts: ConnectionCounts;
}

/** The message of the channel `websock-js:refused`. */
export interface RefusedEvent {
  /** Why the request was refused. It has no stack trace. */
  readonly error: UpgradeError;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** Why the request was refused, in words that the client receives: the `message` of the error. */
  readonly cause: string;
  /** The method of the request: `GET`, `CONNECT` on HTTP/2. */
  readonly method: string;
  /** The path of the request, without its query. */
  readonly path: string;
  /** The handler's name, if it has one and the request reached an `upgrade` call. */
  readonly handler: string | undefined;
}

/** The message of the channel `websock-js:drain`. */
export interface DrainEvent {
  /** The host: `"node"`, for example. */
  readonly host: string;
  /** All connections of the server begin to be closed, or are closed. */
  readonly phase: "start" | "stop";
  /** The close code that the clients receive: 1001 of `close`, 1012 of `drain`. */
  readonly code: 1001 | 1012;
  /** The number of connections now. */
  readonly connections: number;
  /** For `"stop"`: how long it has taken, in milliseconds. */
  readonly duration: number | undefined;
  /** For `"stop"` of `drain`: the number of connections that were aborted at the deadline. */
  readonly aborted: number | undefined;
}

/** The message of the tracing channel `websock-js:callback`: the same object for all events of one call. */
export interface CallbackEvent extends ConnectionEvent {
  /** Which callback is called. */
  readonly callback: CallbackName;
  /** The opcode of the message that `handleIn` or `handleControl` is called for; otherwise `undefined`. */
  readonly opcode: string | undefined;
  /** With `end`: the callback has returned a promise, so that `asyncStart` and `asyncEnd` follow. */
  readonly isPending: boolean;
  /** With `error`, and the events after it: what the callback threw, or rejected with. */
  readonly error?: unknown;
}

/**
 * A subscriber to the start of a callback may set this property of the message to a function that runs the callback in
 * a context of its own. `bindStore` is not enough: since Node 26, it needs a real AsyncLocalStorage.
 */
export const RUN_IN: unique symbol = Symbol("run in");

/** The message of a callback that has started, with {@link RUN_IN}. */
export type StartedCall = CallbackEvent & { [RUN_IN]?: (task: () => unknown) => unknown };
