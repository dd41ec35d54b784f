/** What a callback returns: what to send, whether to go on, and the next state. */
import { checkKeys, show } from "./known-keys.ts";
import type { Messages } from "./message.ts";

/** A close code (RFC 6455 §7.4), alone or with a text of at most 123 octets of UTF-8. */
export type CloseDetail = number | readonly [code: number, text?: string | null];

/** Tagged tuples; {@link ok}, {@link push}, {@link reply} and {@link stop} make them. */
export type HandleResult<S> =
  | readonly ["ok", S]
  | readonly ["push", Messages, S]
  | readonly ["reply", unknown, Messages, S]
  | readonly ["stop", reason: unknown, S]
  | readonly ["stop", reason: unknown, CloseDetail, S]
  | readonly ["stop", reason: unknown, CloseDetail, Messages, S];

/** Goes on with `state` and sends nothing. */
export const ok = <S>(state: S): HandleResult<S> => ["ok", state];

/** Sends `messages`, in order, and goes on with `state`. `push(text("hi"), state)`, `push([a, b], state)` */
export const push = <S>(messages: Messages, state: S): HandleResult<S> => ["push", messages, state];

/** The same as {@link push}; `status` is ignored. It is there for handlers that come from other implementations. */
export const reply = <S>(status: unknown, messages: Messages, state: S): HandleResult<S> => [
  "reply",
  status,
  messages,
  state,
];

/** How to end: the close frame's `code` and `text`, and `messages` to send before it. */
export interface StopOptions {
  /** 1000–1003, 1007–1014 or 3000–4999. Default: by the reason, see {@link stop}. */
  readonly code?: number;
  /** At most 123 octets of UTF-8. Default: none. */
  readonly text?: string | null;
  /** Sent before the close frame. Default: none. */
  readonly messages?: Messages;
}

const STOP_OPTIONS = ["code", "text", "messages"] as const;

/**
 * Checks what `stop` and `self.stop` are given as their detail: a key that is unknown would have no effect. The values are
 * checked when the close frame is made.
 *
 * @param more keys that are valid, too
 * @throws TypeError that names the unknown key
 */
export const checkStopOptions = (options: object, ...more: readonly string[]): void => {
  const names = [...STOP_OPTIONS, ...more];
  if (typeof options === "object" && options !== null && !Array.isArray(options)) {
    checkKeys(options, names);
    return;
  }
  const cure = typeof options === "number" ? `; use { code: ${options} }` : "";
  throw new TypeError(`the options of stop() must be an object with ${names.join(", ")}, not ${show(options)}${cure}`);
};
/** How `self.stop` ends a connection. */
export interface StopDetail extends StopOptions {
  /** Cuts the connection without a closing handshake: the client sees a loss (1006). Default: `false`. */
  readonly abort?: boolean;
}

/**
 * Ends the connection.
 *
 * The client gets close code 1000 for the reasons `"normal"` and `"disconnected"`, 1012 for `"restart"`, 1011 for any
 * other, unless `options.code` says otherwise. `terminate` gets `"normal"` for those three, else `{ error: reason }`.
 *
 * ```ts
 * stop("normal", state);
 * stop("kicked", state, { code: 4001, text: "be nice", messages: text("bye") });
 * ```
 *
 * @throws TypeError for an option that does not exist. A code or a text that may not be sent ends the connection with 1011
 */
export const stop = <S>(reason: unknown, state: S, options?: StopOptions): HandleResult<S> => {
  if (options === undefined) return ["stop", reason, state];
  checkStopOptions(options);
  const detail: CloseDetail = [options.code ?? defaultCloseCode(reason), options.text ?? null];
  return options.messages === undefined
    ? ["stop", reason, detail, state]
    : ["stop", reason, detail, options.messages, state];
};

/** Whether a handler that stops for this reason ends as it meant to. */
export const isNormalStop = (reason: unknown): boolean =>
  reason === "normal" || reason === "disconnected" || reason === "restart";

/** The close code for a stop that names none. */
export const defaultCloseCode = (reason: unknown): number =>
  reason === "restart" ? 1012 : isNormalStop(reason) ? 1000 : 1011;
