/** What the callbacks of a typed handler return: like ordinary results, but with typed messages. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import type { OutMessage } from "../message.ts";
import { type HandleResult, type StopDetail, type StopOptions, stop as untypedStop } from "../result.ts";
import type { CallbackName } from "../session/handler.ts";

/** How to close the connection, and the typed messages to send before. */
export interface TypedStopOptions<Message> extends Omit<StopOptions, "messages"> {
  /** Messages to send before the close frame. Default: none. */
  readonly messages?: readonly Message[];
}

/** How `self.stop` of a typed handler ends a connection. */
export interface TypedStopDetail<Message> extends TypedStopOptions<Message>, Pick<StopDetail, "abort"> {}

/**
 * The result of a callback of a typed handler: a tagged tuple whose last element is the next state. Create it with
 * {@link ok}, {@link push}, {@link pushAll} or {@link stop} of `websock-js/typed`.
 *
 * @typeParam Message the type of the messages, as the schema `out` accepts them
 * @typeParam State the type of the state
 */
export type TypedResult<Message, State> =
  | readonly ["ok", State]
  | readonly ["push", messages: readonly Message[], State]
  | readonly ["stop", reason: unknown, TypedStopOptions<Message>, State];

/**
 * The result that sends nothing and continues with `state`.
 *
 * ```ts
 * ok(state)
 * ```
 *
 * @param state the next state
 */
export const ok = <State>(state: State): TypedResult<never, State> => ["ok", state];

/**
 * The result that sends one message and continues with `state`.
 *
 * ```ts
 * push({ type: "task", task }, state)
 * ```
 *
 * A message that does not fit the schema `out` is an {@link InvalidMessage}: it is reported to `onError`, and closes
 * the connection with 1011.
 */
export const push = <Message, State>(message: Message, state: State): TypedResult<Message, State> => [
  "push",
  [message],
  state,
];

/**
 * The result that sends several messages in order and continues with `state`. If one does not fit the schema `out`,
 * none is sent; see {@link push}.
 *
 * ```ts
 * pushAll([{ type: "task", task }, { type: "saved" }], state)
 * ```
 *
 * @param messages the messages, as the schema `out` accepts them
 * @param state the next state
 */
export const pushAll = <Message, State>(messages: readonly Message[], state: State): TypedResult<Message, State> => [
  "push",
  messages,
  state,
];

/**
 * The result that closes the connection. Reasons and close codes are the same as for `stop` of `websock-js`.
 *
 * ```ts
 * stop("normal", state)
 * stop("kicked", state, { code: 4001, text: "be nice", messages: [{ type: "bye" }] })
 * ```
 *
 * @param reason why the handler stops: any value
 * @param state the state that `terminate` receives
 * @param options the close code, the close reason text, and messages to send first
 */
export const stop = <State, Message = never>(
  reason: unknown,
  state: State,
  options: TypedStopOptions<Message> = {},
): TypedResult<Message, State> => ["stop", reason, options, state];

/**
 * From the result of a typed handler to that of an ordinary one.
 *
 * @throws TypeError for a value that is not a {@link TypedResult}
 */
export const untyped = <Message, State>(
  result: TypedResult<Message, State>,
  encode: (message: Message) => OutMessage,
  callback: CallbackName,
): HandleResult<State> => {
  if (Array.isArray(result)) {
    const [tag, , options] = result as readonly unknown[];
    if (tag === "ok" && result.length === 2) return result as HandleResult<State>;
    if (tag === "push" && result.length === 3 && Array.isArray(result[1]))
      return ["push", encodeLater(result[1], encode), result[2]];
    if (tag === "stop" && result.length === 4 && typeof options === "object" && !Array.isArray(options))
      return untypedStop(result[1], result[3], withMessages(result[2] ?? {}, encode, encodeLater));
  }
  throw codedTypeError(
    "WEBSOCK_INVALID_RESULT",
    `"${callback}" returned ${show(result)}; it must return ok(…), push(…), pushAll(…) or stop(…) of websock-js/typed`,
  );
};

/**
 * Messages of a result. If they cannot be encoded, the error is thrown when they are sent: by then, the state of the
 * result is recorded, which `terminate` receives.
 */
const encodeLater: typeof encodeAll = (messages, encode) => {
  try {
    return encodeAll(messages, encode);
  } catch (error) {
    return [new UnsendableMessage(error)];
  }
};

class UnsendableMessage implements OutMessage {
  readonly opcode = "text";
  readonly #error: unknown;

  constructor(error: unknown) {
    this.#error = error;
  }

  get data(): never {
    throw this.#error;
  }
}

const encodeAll = <Message>(
  messages: readonly Message[],
  encode: (message: Message) => OutMessage,
): readonly OutMessage[] => {
  if (Array.isArray(messages)) return messages.map((message) => encode(message));
  throw codedTypeError(
    "WEBSOCK_UNSENDABLE_MESSAGE",
    `typed messages must be an array, not ${show(messages)}: use push(…) of websock-js/typed`,
  );
};

/**
 * Replaces the typed messages in the options of a stop. Other options are checked where they are used.
 *
 * @param encodeMessages default: throws for a message that cannot be encoded
 */
export const withMessages = <Message>(
  options: TypedStopDetail<Message>,
  encode: (message: Message) => OutMessage,
  encodeMessages: typeof encodeAll = encodeAll,
): StopDetail => {
  const { messages, ...others } = options;
  return messages === undefined ? (options as StopDetail) : { ...others, messages: encodeMessages(messages, encode) };
};
