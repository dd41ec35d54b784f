/** What the callbacks of a channel return. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";

/** What `join` returns: the client joins the topic, or does not. */
export type JoinResult<State, Reply = unknown> =
  | readonly ["accept", state: State, reply: Reply]
  | readonly ["refuse", reason: unknown];

/** What `connect` returns: the client may join topics, or its request is refused. */
export type ConnectResult<Shared> = readonly ["accept", shared: Shared, reply: unknown] | readonly ["refuse", unknown];

/** The status of a reply: phoenix.js calls the functions that were passed to `receive` for this status. */
export type Status = "ok" | "error";

/**
 * The result of a callback: a tagged tuple. Create it with {@link noreply}, {@link reply}, {@link push} or {@link
 * stop}.
 *
 * @typeParam Reply the type of the payload of a reply with the status "ok"
 * @typeParam ErrorReply the same for the status "error"
 */
export type ChannelResult<State, Reply = unknown, ErrorReply = unknown> =
  | readonly ["noreply", State]
  | readonly ["reply", "ok", payload: Reply, State]
  | readonly ["reply", "error", payload: ErrorReply, State]
  | readonly ["push", event: string, payload: unknown, State]
  | readonly ["stop", reason: unknown, State];

/**
 * The result of `join` that lets the client join the topic, and of `connect` that accepts a connection.
 *
 * ```ts
 * join: async (payload, socket) => accept({ room: await load(socket.topic) }, { welcome: true }),
 * ```
 *
 * @param state of `join`: the state of the channel; of `connect`: the value that all channels of the connection share
 * @param reply of `join`: the payload of the reply. Default: `{}`
 */
export const accept = <State, const Reply = Record<string, never>>(
  state: State,
  reply: Reply = {} as Reply,
): readonly ["accept", State, Reply] => ["accept", state, reply];

/**
 * The result of `join` or `connect` that refuses the client.
 *
 * ```ts
 * join: (_payload, { topic }) => (topic === "room:secret" ? refuse("members only") : accept(null)),
 * ```
 *
 * @param reason of `join`: the payload of the reply; a string is sent as `{ reason }`. Of `connect`: the body of the
 * response, if it is a string
 */
export const refuse = (reason: unknown): readonly ["refuse", unknown] => ["refuse", reason];

/**
 * The result that sends nothing and continues with `state`.
 *
 * ```ts
 * return noreply({ count: state.count + 1 });
 * ```
 */
export const noreply = <State>(state: State): readonly ["noreply", State] => ["noreply", state];

/**
 * The result of `handleIn` that answers the message. If the client's message has no ref, nothing is sent.
 *
 * ```ts
 * return reply("error", { reason: "too long" }, state);
 * ```
 *
 * @param status `"ok"` or `"error"`
 * @param payload a value that JSON can represent, or bytes
 * @param state the next state
 */
export const reply = <State, const S extends Status, const Payload>(
  status: S,
  payload: Payload,
  state: State,
): readonly ["reply", S, Payload, State] => ["reply", status, payload, state];

/**
 * The result that sends an event to the client of this channel.
 *
 * ```ts
 * return push("saved", { id }, state);
 * ```
 *
 * @param event the name of the event
 * @param payload a value that JSON can represent, or bytes
 * @param state the next state
 */
export const push = <State>(
  event: string,
  payload: unknown,
  state: State,
): readonly ["push", string, unknown, State] => ["push", event, payload, state];

/**
 * The result that ends the channel. With the reason `"normal"` or `"shutdown"`, the client receives `phx_close` and
 * does not join again; with any other, `phx_error`, after which phoenix.js joins again.
 *
 * ```ts
 * return stop("normal", state);
 * ```
 *
 * @param reason why the channel ends
 * @param state the state that `terminate` receives
 */
export const stop = <State>(reason: unknown, state: State): readonly ["stop", unknown, State] => [
  "stop",
  reason,
  state,
];

/** @throws TypeError unless the value is a {@link JoinResult} or a {@link ConnectResult} */
export function checkAcceptance(value: unknown, callback: string): asserts value is JoinResult<unknown> {
  const isOne = Array.isArray(value) && (value[0] === "accept" || value[0] === "refuse");
  if (!isOne)
    throw codedTypeError(
      "WEBSOCK_INVALID_RESULT",
      `"${callback}" returned ${show(value)}; it must return accept(…) or refuse(…)`,
    );
}

/** Whether the value is a {@link ChannelResult}, apart from the types in it. */
export const isChannelResult = (value: unknown): value is ChannelResult<unknown> => {
  if (!Array.isArray(value)) return false;
  const tag: unknown = value[0];
  const { length } = value;
  if (tag === "reply" || tag === "push") return length === 4;
  return (tag === "noreply" && length === 2) || (tag === "stop" && length === 3);
};

/** @throws TypeError unless the value is a {@link Status} */
export function checkStatus(status: unknown): asserts status is Status {
  if (status !== "ok" && status !== "error")
    throw codedTypeError(
      "WEBSOCK_INVALID_RESULT",
      `the status of a reply must be "ok" or "error", not ${show(status)}`,
    );
}

/** @throws TypeError unless the value is a {@link ChannelResult} */
export function checkChannelResult(value: unknown): asserts value is ChannelResult<unknown> {
  if (!isChannelResult(value))
    throw codedTypeError(
      "WEBSOCK_INVALID_RESULT",
      `a callback of a channel returned ${show(value)}; it must return noreply(…), reply(…), push(…) or stop(…)`,
    );
  const tag = value[0];
  const first: unknown = value[1];
  if (tag === "reply") checkStatus(first);
  if (tag === "push" && typeof first !== "string")
    throw codedTypeError("WEBSOCK_INVALID_RESULT", `the event of push(…) must be a string, not ${show(first)}`);
}
