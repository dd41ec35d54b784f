/** The results that callbacks return: messages to send, whether to stop, and the next state. */
import { codedTypeError } from "./error-codes.ts";
import { checkKeys, show } from "./known-keys.ts";
import type { Messages } from "./message.ts";

/**
 * A close code (RFC 6455 §7.4), alone or with a close reason text of at most 123 bytes in UTF-8. {@link StopOptions}
 * lists the valid codes.
 */
export type CloseDetail = number | readonly [code: number, text?: string | null];

/**
 * The result of a callback: a tagged tuple whose last element is the next state. Create it with {@link ok}, {@link
 * push}, {@link reply} or {@link stop}.
 *
 * @typeParam S the type of the state
 */
export type HandleResult<S> =
  | readonly ["ok", S]
  | readonly ["push", Messages, S]
  | readonly ["reply", unknown, Messages, S]
  | readonly ["stop", reason: unknown, S]
  | readonly ["stop", reason: unknown, CloseDetail, S]
  | readonly ["stop", reason: unknown, CloseDetail, Messages, S];

/**
 * The result that sends nothing and continues with `state`.
 *
 * ```ts
 * init: () => ok({ count: 0 })
 * ```
 *
 * @param state the next state
 */
export const ok = <S>(state: S): HandleResult<S> => ["ok", state];

/**
 * The result that sends `messages` in order and continues with `state`.
 *
 * ```ts
 * push(text("hi"), state)
 * push([text("one"), text("two")], state)
 * ```
 *
 * @param messages one message or an array of messages
 * @param state the next state
 */
export const push = <S>(messages: Messages, state: S): HandleResult<S> => ["push", messages, state];

/**
 * Same as {@link push}; `status` is ignored. It exists for handlers that are ported from WebSock for Elixir.
 *
 * ```ts
 * reply("ok", text("saved"), state)
 * ```
 *
 * @param status is ignored
 * @param messages one message or an array of messages
 * @param state the next state
 * @see https://hexdocs.pm/websock/WebSock.html
 */
export const reply = <S>(status: unknown, messages: Messages, state: S): HandleResult<S> => [
  "reply",
  status,
  messages,
  state,
];

/** How to close the connection: the code and reason text of the close frame, and the messages to send before it. */
export interface StopOptions {
  /**
   * The close code: 1000–1003, 1007–1014 or 3000–4999 (RFC 6455 §7.4). Use 4000–4999 for codes of the application.
   * Default: 1000, 1011 or 1012, depending on the reason; see {@link stop}.
   *
   * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
   */
  readonly code?: number;
  /** The close reason text that the client sees: at most 123 bytes of UTF-8 (RFC 6455 §5.5). Default: none. */
  readonly text?: string | null;
  /** Messages to send before the close frame. Default: none. */
  readonly messages?: Messages;
}

const STOP_OPTIONS = ["code", "text", "messages"] as const;

/**
 * Checks the names in the options of `stop` and `self.stop`. The values are checked when the close frame is created.
 *
 * @param more other valid names
 * @throws TypeError that names the unknown option
 */
export const checkStopOptions = (options: object, ...more: readonly string[]): void => {
  const names = [...STOP_OPTIONS, ...more];
  if (typeof options === "object" && options !== null && !Array.isArray(options)) {
    checkKeys(options, names);
    return;
  }
  const hint = typeof options === "number" ? `; use { code: ${options} }` : "";
  throw codedTypeError(
    "WEBSOCK_INVALID_OPTION",
    `the options of stop() must be an object with ${names.join(", ")}, not ${show(options)}${hint}`,
  );
};

/** How `self.stop` ends a connection. */
export interface StopDetail extends StopOptions {
  /**
   * Destroys the socket without sending a close frame, so that the client sees code 1006 (RFC 6455 §7.4.1). `code` and
   * `text` then have no effect. Hosts without the capability `abort` may send a close frame nevertheless. Default:
   * `false`.
   */
  readonly abort?: boolean;
}

/**
 * The result that closes the connection.
 *
 * Unless `options.code` is set, the close code is 1000 for the reasons `"normal"` and `"disconnected"`, 1012 for
 * `"restart"`, and 1011 for any other. `terminate` receives `"normal"` for these three reasons, otherwise
 * `{ error: reason }`. The client does not see the reason.
 *
 * ```ts
 * stop("normal", state);
 * stop("kicked", state, { code: 4001, text: "be nice", messages: text("bye") });
 * ```
 *
 * An invalid close code, reason text or message is reported to `onError` and closes the connection with 1011.
 *
 * @param reason why the handler stops: any value
 * @param state the state that `terminate` receives
 * @param options the close code, the close reason text, and messages to send first
 * @throws TypeError for an unknown option
 * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
 */
export const stop = <S>(reason: unknown, state: S, options?: StopOptions): HandleResult<S> => {
  if (options === undefined) return ["stop", reason, state];
  checkStopOptions(options);
  const detail: CloseDetail = [options.code ?? defaultCloseCode(reason), options.text ?? null];
  return options.messages === undefined
    ? ["stop", reason, detail, state]
    : ["stop", reason, detail, options.messages, state];
};

/** Whether `terminate` receives `"normal"` for this reason. */
export const isNormalStop = (reason: unknown): boolean =>
  reason === "normal" || reason === "disconnected" || reason === "restart";

/** The close code of a stop without `code`. */
export const defaultCloseCode = (reason: unknown): number =>
  reason === "restart" ? 1012 : isNormalStop(reason) ? 1000 : 1011;
