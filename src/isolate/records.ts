/**
 * What crosses between the main thread and a worker: records, which are sequences of values in one flat array. The
 * first value of a record is its kind, the second the number of the connection (0: of none), and the fields of the kind
 * follow.
 */

import type { MessagePort } from "node:worker_threads";

/** To the worker: a connection is open. Fields: the argument of `init`, the facts, the {@link ConnectionSettings}. */
export const OPEN = 0;
/** In both directions: messages. Field: a string for a text, else a Uint8Array. */
export const TEXT = 1;
export const BINARY = 2;
export const PING = 3;
export const PONG = 4;
/** To the worker: an info for `handleInfo`. Field: the info. */
export const INFO = 5;
/** To the worker: the close frame of the client arrived. Fields: the close code, the close reason text. */
export const PEER_CLOSED = 6;
/** To the worker: the connection was lost. */
export const PEER_LOST = 7;
/**
 * To the worker: the session in the main thread has decided the end. Fields: the packed close reason, and whether a
 * pending callback is abandoned.
 */
export const END = 8;
/**
 * To the worker: messages were taken over by the host. Fields: their size, and how many bytes are buffered for the
 * client in the main thread.
 */
export const FLUSHED = 9;
/** To the worker: is the event loop running? Answered by the counter of {@link WorkerSettings}. */
export const PROBE = 10;
/** To the worker: the result of a call of the shared `PubSub`. Fields: the number of the call, the result. */
export const CALLED = 11;
/** To the worker: a gap in a topic. Fields: the number of the subscription, the gap. */
export const GAP = 12;

/** To the main thread: `init` has returned. */
export const OPENED = 0;
/** To the main thread: messages and infos were handled. Fields: how many, and the size of the messages. */
export const HANDLED = 5;
/** To the main thread: close the connection. Fields: the packed close reason, the close code, the close reason text. */
export const CLOSE = 6;
/** To the main thread: abort the connection. Field: the packed close reason. */
export const ABORT = 7;
/** To the main thread: the end of a lost connection is decided. */
export const ENDED = 8;
/** To the main thread: `terminate` has finished. No record of the connection follows. */
export const RELEASED = 9;
/** To the main thread: an error for `onError`. Fields: the packed error, the callback. */
export const REPORT = 10;
/** To the main thread: a call of the shared `PubSub`. Fields: the name of the method, its arguments, its number. */
export const CALL = 11;
/** To the main thread: the module of the handler is loaded. */
export const READY = 12;
/** To the main thread: a full garbage collection was forced. */
export const COLLECTED = 13;

/** How many values a record of each kind has. */
export const WIDTHS_TO_WORKER: readonly number[] = [5, 3, 3, 3, 3, 3, 4, 2, 4, 4, 2, 4, 4];
export const WIDTHS_TO_MAIN: readonly number[] = [2, 3, 3, 3, 3, 4, 5, 3, 2, 2, 4, 5, 2, 2];

/** The settings of a connection in the worker. */
export interface ConnectionSettings {
  readonly uuid: string;
  readonly maxBuffered: number;
  readonly closeTimeout: number;
}

/** The settings of a worker: its `workerData`. */
export interface WorkerSettings {
  readonly port: MessagePort;
  /** The module of the handler. */
  readonly url: string;
  readonly maxPending: number;
  readonly nice: number;
  readonly fullsweepAfter: number | undefined;
  /** Its element counts what the worker has done: see `watchdog.ts`. */
  readonly progress: Int32Array<SharedArrayBuffer>;
  /** The `node` of the shared `PubSub`; `undefined`: none is shared. */
  readonly pubsubNode: string | undefined;
}

/**
 * Above this many bytes, a connection has enough in the other thread: there, messages wait for the handler or the
 * client. A quarter of it is acknowledged at the latest.
 */
export const HIGH_WATER_MARK = 65_536;

/** The size of a message in the accounts of both threads: what is known without measuring a text. */
export const sizeOf = (data: string | Uint8Array): number => data.length;
