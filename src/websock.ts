/**
 * The behaviour: what an application writes, and what every host runs.
 *
 * A handler is a module, an object or a class instance with these callbacks. Each callback gets the state that the one
 * before it returned, and returns what to send and the next state (see `result.ts`). Callbacks of one connection never
 * overlap: one that returns a promise holds back the next event of its connection until the promise settles.
 */
import type { ControlMessage, DataMessage, Messages } from "./message.ts";
import type { HandleResult, StopDetail } from "./result.ts";

export type Awaitable<T> = T | PromiseLike<T>;

/**
 * The callbacks of a handler.
 *
 * @typeParam Arg what `upgrade` hands to `init`
 * @typeParam State what callbacks return and get back
 * @typeParam Info what may be sent with `self.send`
 */
// Property syntax on purpose: methods are compared bivariantly, and would let wrong states and arguments compile.
export interface WebSock<Arg, State, Info = never> {
  /** The connection is open. Runs once, before anything that the client sent is seen. */
  readonly init: (arg: Arg, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /** A whole text or binary message arrived. */
  readonly handleIn: (message: DataMessage, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /** A ping or pong arrived. A ping has been answered already; pongs to our own heartbeat are not reported. */
  readonly handleControl?: (message: ControlMessage, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /** Something sent with `self.send` arrived. */
  readonly handleInfo?: (info: Info, state: State, self: Self<Info>) => Awaitable<HandleResult<State>>;
  /**
   * The end is decided. Runs exactly once after an `init` that returned. What it returns is ignored, but a promise counts
   * as long as it is pending; what it throws is reported, never thrown.
   */
  readonly terminate?: (reason: CloseReason, state: State, self: Self<Info>) => unknown;
  /** What the handler is called in reports, where it is no class instance. Only a string counts. */
  readonly name?: unknown;
}

/**
 * Why a connection ended, as `terminate` is told.
 *
 * - `"normal"`: the handler stopped with `normal`, `disconnected` or `restart`
 * - `"remote"`: the client closed (its code and text are in `self.connection`)
 * - `"shutdown"`: the server closes or drains
 * - `"timeout"`: nothing was received for `timeout` ms
 * - `{ error }`: anything else: what a callback threw, the reason it stopped with, or one of the errors in `errors.ts`
 */
export type CloseReason = "normal" | "remote" | "shutdown" | "timeout" | { readonly error: unknown };

/** The address and the facts of one connection. It may be kept, and used from anywhere. */
export interface Self<in Info = never> {
  /**
   * Delivers `info` to this connection's `handleInfo`, in a later turn of the event loop, in the order of the calls.
   *
   * @returns `false` once the end of the connection is decided: then nobody will see `info`
   */
  readonly send: (info: Info) => boolean;
  /**
   * Sends `messages` to the client now: before the result of a callback that is pending, and in `init` too.
   *
   * ```ts
   * handleIn: async (message, state, self) => {
   *   self.push(text("working on it"));
   *   return push(text(await answer(message)), state);
   * },
   * ```
   *
   * @returns `false` if nothing can be sent any more: the end of the connection is decided, or this call has decided it,
   * because `messages` exceed `maxBuffered` (the client then counts as a slow consumer)
   * @throws RangeError for a message that may not be sent, such as a ping of more than 125 bytes; nothing is sent then, and
   * the connection stays open
   * @throws TypeError for a value that is not a message
   */
  readonly push: (messages: Messages) => boolean;
  /**
   * Ends the connection now, from anywhere: it waits neither for messages that are queued, which are dropped, nor for a
   * callback that is pending. The close frame is sent before this call returns; `terminate` runs later, once a pending
   * callback has settled. Reasons and close codes are those of the result {@link stop}.
   *
   * ```ts
   * for (const self of sockets) if (isBanned(self)) self.stop("banned", { code: 4003, text: "banned" });
   * ```
   *
   * @returns `false` if the end of the connection was decided before: the first decision counts
   * @throws RangeError for a close code, text or message that may not be sent
   * @throws TypeError for a detail that does not exist
   */
  readonly stop: (reason: unknown, detail?: StopDetail) => boolean;
  /**
   * Waits until at most 64 KiB (the outbound high-water mark) are waiting for the client. A source that pushes more than
   * its client reads awaits it between two pushes.
   *
   * ```ts
   * for await (const row of rows) {
   *   self.push(json(row));
   *   if (!(await self.drained())) break;
   * }
   * ```
   *
   * @returns a promise of `true`, or of `false` if the connection ends first; it never rejects
   */
  readonly drained: () => Promise<boolean>;
  /** Unique to this connection, in this process and in others. */
  readonly id: string;
  /** Bytes that wait for the client to read. */
  readonly buffered: number;
  /**
   * Aborted as soon as the end of the connection is decided. Its `reason` is an {@link AbortError}, whose own `reason` is
   * what `terminate` gets.
   */
  readonly signal: AbortSignal;
  /** Facts about the connection. */
  readonly connection: ConnectionInfo;
}

/** What is known of a connection; read it at any time, in `terminate` too. */
export interface ConnectionInfo {
  /** The peer's IP address, where the host tells. */
  readonly remoteAddress: string | undefined;
  /** The peer's port, where the host tells. */
  readonly remotePort: number | undefined;
  /** The version of HTTP that the connection was opened with: `"1.1"`, `"2.0"`. */
  readonly httpVersion: string;
  /** The method that the client sent: `"GET"`, or `"CONNECT"` on HTTP/2, where the app saw `GET` all the same. */
  readonly method: string;
  /**
   * The path of the upgrade request, without its query, which may hold secrets. Of a longer one, the first 256 characters
   * and an ellipsis.
   */
  readonly path: string;
  /** The subprotocol that was agreed on. */
  readonly subprotocol: string | undefined;
  /** The extension that was agreed on with its parameters, as in `Sec-WebSocket-Extensions`. */
  readonly compression: string | undefined;
  /** The code of the peer's close frame; `undefined` while there is none, or where it had none. */
  readonly closeCode: number | undefined;
  /** The text of the peer's close frame; `undefined` while there is none. */
  readonly closeText: string | undefined;
}

/** A handler whose `self.send` takes infos has to have a `handleInfo` for them: without one they are dropped. */
export type HandlesInfo<Arg, State, Info> = [Info] extends [never]
  ? unknown
  : { readonly handleInfo: NonNullable<WebSock<Arg, State, Info>["handleInfo"]> };

/**
 * Types an inline handler that uses `self.send`; returns it unchanged. With an `Info`, `handleInfo` is required.
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
 * @typeParam Info what may be sent with `self.send`. Default: nothing
 */
export const handler =
  <Info = never>() =>
  <Arg = void, State = unknown>(
    callbacks: WebSock<Arg, State, Info> & HandlesInfo<Arg, State, Info>,
  ): WebSock<Arg, State, Info> =>
    callbacks;
