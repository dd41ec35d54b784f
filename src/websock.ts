/** The types of handlers: their callbacks, and `self`, through which they reach their connection. */
import type { ControlMessage, DataMessage, Messages } from "./message.ts";
import type { HandleResult, StopDetail } from "./result.ts";

/** A value, or a promise of it. */
export type Awaitable<T> = T | PromiseLike<T>;

/**
 * The callbacks of a handler. A handler is a module, an object or a class instance with these functions; only `init`
 * and `handleIn` are required.
 *
 * Each callback receives the state that the previous one returned, and returns a result, or a promise of one: `ok`,
 * `push`, `reply` or `stop` with the next state. The callbacks of a connection never overlap: while the promise of a
 * callback is pending, the next event of the connection waits.
 *
 * If a callback throws, rejects or returns an invalid result, the error is reported to `onError`, the connection is
 * closed with 1011 (RFC 6455 §7.4.1), and `terminate` receives `{ error }`. Other connections are not affected.
 *
 * ```ts
 * // echo.ts: counts and echoes messages
 * export const init = (): HandleResult<number> => ok(0);
 * export const handleIn = (message: DataMessage, count: number): HandleResult<number> => push(message, count + 1);
 * ```
 *
 * @typeParam Arg the type of the argument that `upgrade` passes to `init`
 * @typeParam State the type of the state
 * @typeParam Info the type of the infos that `self.send` accepts. Default: none
 */
// Properties, not methods: TypeScript compares method parameters bivariantly, so wrong states and arguments would
// compile.
export interface WebSock<Arg, State, Info = never> {
  /**
   * Called once, when the connection is open, before any message is handled. If it fails, the connection is closed with
   * 1011 and `terminate` is not called, because there is no state yet.
   */
  readonly init: (arg: Arg, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /** Called for each text or binary message, once it is complete. */
  readonly handleIn: (message: DataMessage, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /**
   * Called for each ping and pong. Pings have already been answered (RFC 6455 §5.5.2); pongs that answer the heartbeat
   * are not passed on. Never called on hosts without the capability `control`.
   */
  readonly handleControl?: (message: ControlMessage, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /**
   * Called for each info that was sent with `self.send`. Without this callback, all infos are dropped; this is reported
   * once for each connection.
   */
  readonly handleInfo?: (info: Info, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /**
   * Called when the connection ends: exactly once if `init` returned a result, otherwise never. It is called as soon as
   * the end is decided, without waiting for the closing handshake. A pending callback is awaited first, for at most
   * `closeTimeout`.
   *
   * The return value is not used, except that `close()` and `drain()` of the object that `attach` has returned wait for
   * a promise, for at most `closeTimeout`. An error is reported to `onError`.
   */
  readonly terminate?: (reason: CloseReason, state: State, self: Self<Info>) => unknown;
  /**
   * The name of the handler in reports, if it is a string. A class instance is reported by the name of its class
   * instead.
   */
  readonly name?: unknown;
}

/**
 * The reason why a connection ended, as `terminate` receives it.
 *
 * - `"normal"`: the handler stopped with the reason `"normal"`, `"disconnected"` or `"restart"`
 * - `"remote"`: the client closed the connection; `self.connection` has its close code and reason text
 * - `"shutdown"`: the server is closing or draining its connections
 * - `"timeout"`: nothing was received for `timeout` ms
 * - `{ error }`: anything else. `error` is what a callback threw, the TypeError or RangeError for an invalid result,
 *   any other reason that the handler stopped with, or a `ConnectionLost`, `ProtocolError`, `SlowConsumer` or
 *   `MailboxOverflow`
 */
export type CloseReason = "normal" | "remote" | "shutdown" | "timeout" | { readonly error: unknown };

/**
 * A handle to one connection, which callbacks receive as their last argument. It may be stored and used from anywhere:
 * in timers, in other requests, in the callbacks of other connections. (On hosts without the capability
 * `crossConnection`, other requests and connections cannot use it.)
 *
 * @typeParam Info the type of the infos that `send` accepts. Default: none
 */
export interface Self<in Info = never> extends AnySelf<Info> {
  /**
   * Sends `messages` to the client immediately: before the result of a pending callback, and also within `init`.
   *
   * ```ts
   * handleIn: async (message, state, self) => {
   *   self.push(text("working on it"));
   *   return push(text(await answer(message)), state);
   * },
   * ```
   *
   * @returns `false` if the connection is ending, possibly because `messages` exceed `maxBuffered`, which closes it
   * with 1013 (`SlowConsumer`)
   * @throws RangeError for an invalid message, such as a ping of more than 125 bytes (RFC 6455 §5.5). Nothing is sent,
   * and the connection stays open
   * @throws TypeError for a value that is not a message, likewise
   */
  readonly push: (messages: Messages) => boolean;
  /**
   * Closes the connection. Unless `abort` is set, the close frame is passed to the host before this call returns, or,
   * if earlier messages are still buffered or being compressed, queued behind them. Received messages that are still
   * queued are dropped. `terminate` is not called within this call. If a callback is running or pending, `terminate` is
   * called when that callback has returned or settled, or after `closeTimeout`; otherwise in a later event-loop tick.
   * Reasons and close codes are the same as for `stop` as the result of a callback.
   *
   * ```ts
   * for (const self of sockets) if (isBanned(self)) self.stop("banned", { code: 4003, text: "banned" });
   * ```
   *
   * @param reason why the connection is closed: any value. The client does not see it
   * @param detail the close code, the close reason text, messages to send first, and whether to abort the connection
   * @returns `false` if the end of the connection was already decided, or if `messages` exceed `maxBuffered`, which
   * closes the connection with 1013 (`SlowConsumer`). `terminate` does not receive `reason` then
   * @throws RangeError for an invalid close code (RFC 6455 §7.4), reason text (§5.5) or message. The connection stays
   * open
   * @throws TypeError for an unknown option or a value that is not a message, likewise
   */
  readonly stop: (reason: unknown, detail?: StopDetail) => boolean;
}

/**
 * The part of `self` that is the same for every handler, whatever it sends. Functions that only need a connection, such
 * as `topic.subscribe`, accept it, so that they also accept the `self` of a typed handler (`websock-js/typed`).
 *
 * @typeParam Info the type of the infos that `send` accepts. Default: none
 */
export interface AnySelf<in Info = never> {
  /**
   * Delivers `info` to the `handleInfo` of this connection, in a later event-loop tick and in the order of the calls.
   * It never calls the handler synchronously.
   *
   * More than 65 536 waiting infos close the connection with 1011 (`MailboxOverflow`).
   *
   * @returns `false` if `info` was dropped because the connection is ending or has too many waiting infos
   */
  readonly send: (info: Info) => boolean;
  /**
   * Waits until at most 64 KiB (the outbound high-water mark) are buffered for the client. Await it between the pushes
   * of data from a source that may be faster than the client.
   *
   * ```ts
   * for await (const row of rows) {
   *   self.push(json(row));
   *   if (!(await self.drained())) break;
   * }
   * ```
   *
   * @returns a promise of `true`, or of `false` if the connection ends first. It never rejects
   */
  readonly drained: () => Promise<boolean>;
  /** A random UUID that identifies the connection, also across processes. */
  readonly id: string;
  /** The number of bytes that are buffered for the client. Always 0 on Cloudflare, which does not expose it. */
  readonly buffered: number;
  /**
   * Aborted as soon as the end of the connection is decided, also if `init` fails. Its `reason` is an `AbortError`,
   * whose own `reason` is the value that `terminate` receives.
   */
  readonly signal: AbortSignal;
  /** Facts about the connection. */
  readonly connection: ConnectionInfo;
}

/** Facts about a connection. They can be read at any time, also in `terminate`. */
export interface ConnectionInfo {
  /** The IP address of the client (or of a proxy in between); `undefined` if the host does not expose it. */
  readonly remoteAddress: string | undefined;
  /** The TCP port of the client; `undefined` if the host does not expose it. */
  readonly remotePort: number | undefined;
  /** The HTTP version of the upgrade request: `"1.1"` or `"2.0"`. */
  readonly httpVersion: string;
  /**
   * The method of the upgrade request: `"GET"`, or `"CONNECT"` on HTTP/2 (RFC 8441 §4), although the request that the
   * route receives has the method `GET` there, too.
   */
  readonly method: string;
  /**
   * The path of the upgrade request, without its query, which may contain secrets. A path of more than 256 characters
   * is cut off and ends with an ellipsis.
   */
  readonly path: string;
  /** The selected subprotocol; `undefined` if there is none. */
  readonly subprotocol: string | undefined;
  /**
   * The negotiated compression, as in the header `Sec-WebSocket-Extensions` of the response (RFC 7692 §5); `undefined`
   * if there is none.
   */
  readonly compression: string | undefined;
  /** The close code that the client sent; `undefined` if it has sent no close frame, or one without a code. */
  readonly closeCode: number | undefined;
  /** The close reason text that the client sent; `undefined` if it has sent no close frame. */
  readonly closeText: string | undefined;
}

/** Requires `handleInfo` from a handler whose `self.send` accepts infos. Without it, infos would be dropped. */
export type HandlesInfo<Arg, State, Info> = [Info] extends [never]
  ? unknown
  : { readonly handleInfo: NonNullable<WebSock<Arg, State, Info>["handleInfo"]> };

/**
 * Infers the types of an inline handler, and returns the handler unchanged. Only the type of infos cannot be inferred:
 * it is the type argument, and if it is given, `handleInfo` is required. Note the two pairs of parentheses.
 *
 * ```ts
 * const Clock = handler<"tick">()({
 *   init: (_: void, self) => {
 *     const timer = setInterval(() => self.send("tick"), 1000);
 *     self.signal.addEventListener("abort", () => clearInterval(timer));
 *     return ok(0);
 *   },
 *   handleIn: (_message, ticks) => ok(ticks),
 *   handleInfo: (_tick, ticks) => push(text(String(ticks)), ticks + 1),
 * });
 * ```
 *
 * @typeParam Info the type of the infos that `self.send` accepts. Default: none
 */
export const handler =
  <Info = never>() =>
  <Arg = void, State = unknown>(
    callbacks: WebSock<Arg, State, Info> & HandlesInfo<Arg, State, Info>,
  ): WebSock<Arg, State, Info> =>
    callbacks;
